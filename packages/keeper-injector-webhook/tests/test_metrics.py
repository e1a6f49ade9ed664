"""The webhook's metrics: each counter is there before it counts, so that Prometheus sees its first increase."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import keeper_injector_webhook
from keeper_injector_webhook.admission.decision import SkipReason
from keeper_injector_webhook.metrics import Metrics
from keeper_injector_webhook.serving.connection import Phase

SOURCES = sorted(Path(keeper_injector_webhook.__file__).parent.rglob("*.py"))


def series() -> set[str]:
    """Return the counters of a process that has just started, with their labels."""
    lines = Metrics().text().decode().splitlines()
    return {line.rpartition(" ")[0] for line in lines if re.match(r"\w+_total\b.* 0\.0$", line)}


def labels(counter: str, label: str) -> set[str]:
    """Return the values of *label* with which *counter* starts."""
    found = (re.fullmatch(rf'keeper_injector_{counter}_total{{.*{label}="([^"]*)".*}}', line) for line in series())
    return {match[1] for match in found if match}


def literals(*methods: str) -> set[str]:
    """Return the texts that the sources pass to these methods."""
    calls = [
        node
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in methods
    ]
    return {
        part.value
        for call in calls
        for argument in call.args
        for part in ast.walk(argument)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    }


def test_every_reason_of_a_review_starts_at_zero() -> None:
    """Each decision is counted from the start, with all of its reasons."""
    assert labels("reviews", "decision") == {"inject", "deny", "skip", "error"}
    skipped = {line for line in series() if 'decision="skip"' in line}
    assert {re.findall(r'reason="(\w+)"', line)[0] for line in skipped} == {reason.code for reason in SkipReason}


def test_every_reason_for_a_cut_starts_at_zero() -> None:
    """The deadlines have the names of the phases; the limits are named where they are applied."""
    assert labels("connections_cut", "reason") == {phase.name.lower() for phase in Phase} | literals("_cut")
    assert literals("connection_cut") <= labels("connections_cut", "reason")
    assert labels("certificate_runs", "result") == literals("certificate_run")


def test_the_counters_without_labels_are_there_too() -> None:
    """A dashboard shows 0 and not \"no data\"."""
    assert "keeper_injector_warnings_total" in series()
