"""Reports: what a result means for log, exit code and termination message."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from agent_pods import AgentPod

from keeper_injector_agent import reporting, worker
from keeper_injector_agent.delivery import refresh
from keeper_injector_common.plan.paths import PLAN_PATH, below_root


def test_a_bug_is_reported_without_its_text(
    pod: AgentPod, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """For a bug, the message names the exception's type and line but never its text, which may contain a value."""
    pod.wants({"x": "api-keys[login]"})

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("of a value")

    monkeypatch.setattr(refresh, "_deliver_records", broken)
    code = worker.run_refresh(pod.at(PLAN_PATH), root=pod.root, deadline=10.0, initial=True)
    assert code == os.EX_IOERR
    assert "internal error: ZeroDivisionError in test_reporting.py, line" in pod.termination_message()
    assert "of a value" not in pod.termination_message() + caplog.text


def test_the_termination_message_is_limited(tmp_path: Path) -> None:
    """The kubelet shows 4096 characters, so a longer message is cut off; the exit code is passed through."""
    path = below_root(tmp_path, reporting.TERMINATION_LOG)
    path.parent.mkdir()
    path.touch()
    assert reporting.report_fatal(tmp_path, "x" * 5000, os.EX_CONFIG) == os.EX_CONFIG
    assert path.read_text(encoding="utf-8") == "x" * 4096


def test_outside_of_a_pod_no_termination_message_is_written(tmp_path: Path) -> None:
    """Without the kubelet's file there is only the log."""
    assert reporting.report_fatal(tmp_path, "x", os.EX_NOPERM) == os.EX_NOPERM
    assert list(tmp_path.iterdir()) == []
