"""Generates the tables of Kubernetes versions in installation.md: the features of each version, and the runs of the integration tests."""

from __future__ import annotations

import sys
import tomllib
from datetime import date

import attrs

from cluster import versions
from generators.output import ROOT, deliver
from keeper_injector_webhook.cluster_check.features import FEATURES, Feature, Version

PAGE = "packages/keeper-injector-common/docs/installation.md"
RUNS = "integration-tests/runs.toml"
START = "<!-- Made by `./tools/run docs --write` from cluster_check/features.py and integration-tests/runs.toml. -->\n"
END = "<!-- End of what is made. -->\n"


@attrs.frozen
class Run:
    """What the integration tests reported on one version of Kubernetes."""

    kubernetes: str
    """The patch release: ``v1.33.13``."""
    day: date
    passed: int
    failed: int
    skipped: dict[str, int]
    """By the name of the feature that the version lacks: how many tests need it."""
    remark: str
    """Why tests failed, and what was done about it; empty if none failed."""

    @property
    def number(self) -> Version:
        """The minor release."""
        major, minor, _ = self.kubernetes.removeprefix("v").split(".", 2)
        return int(major), int(minor)


def main() -> int:
    """Write the tables into the page, or check that they are up to date."""
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    numbers = [version.number for version in versions.every()]
    return deliver(PAGE, filled(page, f"{table(numbers)}\n{results(numbers, runs())}"))


def runs() -> list[Run]:
    """Return the recorded runs, by version. Raises TypeError for a record with a missing or unknown key."""
    recorded = tomllib.loads((ROOT / RUNS).read_text(encoding="utf-8"))
    return sorted((Run(**run) for run in recorded["runs"]), key=lambda run: run.number)


def results(numbers: list[Version], recorded: list[Run]) -> str:
    """Return the runs as a table with a line for each version of *numbers*, also for one that was never tested."""
    by_number = {run.number: run for run in recorded}
    lines = ["| Kubernetes | tested on | passed | failed | skipped | remark |", "| --- | --- | --- | --- | --- | --- |"]
    lines += [_result(number, by_number.get(number)) for number in numbers]
    return "".join(f"{line}\n" for line in lines)


def _result(number: Version, run: Run | None) -> str:
    if run is None:
        major, minor = number
        return f"| v{major}.{minor} | not tested | - | - | - | |"
    skipped = ", ".join(f"{count} that need {name}" for name, count in run.skipped.items()) or "0"
    return f"| {run.kubernetes} | {run.day} | {run.passed} | {run.failed} | {skipped} | {run.remark} |"


def filled(page: str, text: str) -> str:
    """Return *page* with *text* between the two marks. Raises ValueError if it does not contain each of them once."""
    before, rest = page.split(START)
    _, after = rest.split(END)
    return f"{before}{START}\n{text}\n{END}{after}"


def table(numbers: list[Version]) -> str:
    """Return the features as a table with a column for each version."""
    names = [f"{major}.{minor}" for major, minor in numbers]
    lines = [
        ("feature", *names, "used for", "without it"),
        ("---",) * (len(names) + 3),
        *(
            (feature.name, *(cell(feature, number) for number in numbers), feature.use, feature.without)
            for feature in FEATURES
        ),
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def cell(feature: Feature, version: Version) -> str:
    """Return how far a feature has come in a version."""
    if not feature.is_in(version):
        return "no"
    return "stable" if feature.stable and version >= feature.stable else "enabled"


if __name__ == "__main__":
    sys.exit(main())
