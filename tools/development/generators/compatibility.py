"""Generates the table of Kubernetes versions in installation.md from the list of features and the nodes that tests can start."""

from __future__ import annotations

import sys

from cluster import versions
from generators.output import ROOT, deliver
from keeper_injector_webhook.cluster_check.features import FEATURES, Feature, Version

PAGE = "packages/keeper-injector-common/docs/installation.md"
START = "<!-- Made by `./tools/run docs --write` from cluster_check/features.py. -->\n"
END = "<!-- End of what is made. -->\n"


def main() -> int:
    """Write the table into the page, or check that it is up to date."""
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    return deliver(PAGE, filled(page, table([version.number for version in versions.every()])))


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
