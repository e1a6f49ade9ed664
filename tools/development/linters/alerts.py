"""The alerts as Prometheus sees them: promtool checks the rules, and runs the rule tests of the chart."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

Json = dict[str, Any]
LEFT_OUT = ("description", "runbook_url")
"""Annotations that tests would only repeat. The summary stays, because it has values."""


def problems(promtool: Path, rendered: Path, tests: Path) -> Iterator[str]:
    """Yield what promtool finds in the PrometheusRule of *rendered*, and alerts that *tests* does not test in both ways."""
    groups = _groups(rendered)
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder, "whole.yaml")
        whole.write_text(yaml.safe_dump({"groups": groups}), encoding="utf-8")
        yield from _run(promtool, "check", "rules", "--lint=all", "--lint-fatal", whole)
        for rule in (rule for group in groups for rule in group["rules"]):
            for name in LEFT_OUT:
                del rule["annotations"][name]
        Path(folder, "rules.yaml").write_text(yaml.safe_dump({"groups": groups}), encoding="utf-8")
        # promtool looks for the rules beside the tests.
        copied = Path(folder, "tests.yaml")
        copied.write_text(tests.read_text(encoding="utf-8"), encoding="utf-8")
        yield from _run(promtool, "test", "rules", copied)
    yield from untested(groups, yaml.safe_load(tests.read_text(encoding="utf-8")))


def untested(groups: list[Json], document: Json) -> Iterator[str]:
    """Yield each alert for which no test has it firing, or none has it silent although there are series."""
    silent: set[str] = set()
    firing: set[str] = set()
    for test in document["tests"]:
        for expected in test["alert_rule_test"]:
            (firing if expected.get("exp_alerts") else silent).add(expected["alertname"])
    names = [rule["alert"] for group in groups for rule in group["rules"]]
    yield from (f"alert {name}: no test has it firing" for name in names if name not in firing)
    yield from (f"alert {name}: no test has it silent" for name in names if name not in silent)
    yield from (f"alert {name}: tested, but the chart does not have it" for name in (silent | firing) - set(names))


def _groups(rendered: Path) -> list[Json]:
    [rule] = [
        item
        for item in yaml.safe_load_all(rendered.read_text(encoding="utf-8"))
        if item and item["kind"] == "PrometheusRule"
    ]
    groups: list[Json] = rule["spec"]["groups"]
    return groups


def _run(*command: str | Path) -> Iterator[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        yield from re.sub(r"\n{2,}", "\n", done.stdout + done.stderr).strip().splitlines()
