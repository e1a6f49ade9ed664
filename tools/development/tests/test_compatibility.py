"""The table of Kubernetes versions in the documentation."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import pytest

from cluster import versions
from generators import compatibility
from keeper_injector_webhook.cluster_check.features import ENV_FILES, FEATURES, NATIVE_SIDECAR, OLDEST, RESTART_ALL

CHART = Path(__file__).parents[3] / "charts/keeper-injector"


def test_a_feature_comes_in_steps() -> None:
    """A feature is missing, then enabled, then stable; one that is not stable yet stays enabled."""
    cells = [compatibility.cell(NATIVE_SIDECAR, (1, minor)) for minor in (28, 29, 32, 33, 37)]
    assert cells == ["no", "enabled", "enabled", "stable", "stable"]
    assert compatibility.cell(ENV_FILES, (1, 99)) == "enabled"


def test_every_feature_and_version_is_in_the_table() -> None:
    """Each line has a cell for each column."""
    lines = compatibility.table([version.number for version in versions.every()]).splitlines()
    assert [line.split(" | ")[0].strip("| ") for line in lines[2:]] == [feature.name for feature in FEATURES]
    assert len({line.count("|") for line in lines}) == 1
    assert all(f"| {version.minor} |" in lines[0] for version in versions.every())


def test_the_rest_of_the_page_is_kept() -> None:
    """Only what is between the marks changes, and making it twice changes nothing."""
    page = f"before\n{compatibility.START}old\n{compatibility.END}after\n"
    once = compatibility.filled(page, "new\n")
    assert once == f"before\n{compatibility.START}\nnew\n\n{compatibility.END}after\n"
    assert compatibility.filled(once, "new\n") == once


@pytest.mark.parametrize(
    "page", ["", compatibility.START, compatibility.END, 2 * (compatibility.START + compatibility.END)]
)
def test_a_page_without_its_marks_is_refused(page: str) -> None:
    """Nothing is written into a page whose marks are missing or doubled."""
    with pytest.raises(ValueError, match="values to unpack"):
        compatibility.filled(page, "new")


def test_the_chart_compares_with_the_same_versions() -> None:
    """The chart's templates cannot import the list."""
    written = (CHART / "templates/_helpers.tpl").read_text(encoding="utf-8")
    compared = set(re.findall(r'semverCompare ">= (\d+)\.(\d+)\.0-0"', written))
    major, minor = ENV_FILES.enabled
    expected = {ENV_FILES.enabled, RESTART_ALL.enabled, (major, minor + 3)}
    assert {(int(first), int(second)) for first, second in compared} == expected
    required = re.search(
        r'^kubeVersion: ">= (\d+)\.(\d+)\.0-0"$', (CHART / "Chart.yaml").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert required is not None
    assert tuple(map(int, required.groups())) == OLDEST


RECORDED = compatibility.runs()


def test_the_chart_promises_what_was_tested() -> None:
    """The chart accepts no version that is older than all tested ones, and each run is of a version that anybody can repeat."""
    numbers = [run.number for run in RECORDED]
    assert numbers[0] == OLDEST
    assert set(numbers) <= {version.number for version in versions.every()}
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("run", RECORDED, ids=lambda run: run.kubernetes)
def test_a_run_skips_only_what_its_version_lacks(run: compatibility.Run) -> None:
    """A test is skipped only for a feature in the list, in a version before that feature; a failure has an explanation."""
    by_name = {feature.name: feature for feature in FEATURES}
    assert run.passed > 0
    assert bool(run.failed) == bool(run.remark)
    assert not any(by_name[name].is_in(run.number) for name in run.skipped)


def test_a_run_is_a_line_with_its_counts() -> None:
    """A reader sees why tests were skipped, and which version was never tested."""
    day = dt.date(2026, 11, 28)
    old = compatibility.Run(kubernetes="v1.33.13", day=day, passed=99, failed=1, skipped={"EnvFiles": 2}, remark="a")
    new = compatibility.Run(kubernetes="v1.37.2", day=day, passed=102, failed=0, skipped={}, remark="")
    assert compatibility.results([(1, 33), (1, 35), (1, 37)], [old, new]).splitlines()[2:] == [
        "| v1.33.13 | 2026-11-28 | 99 | 1 | 2 that need EnvFiles | a |",
        "| v1.35 | not tested | - | - | - | |",
        "| v1.37.2 | 2026-11-28 | 102 | 0 | 0 |  |",
    ]
