"""Reports: what a result means for log, exit code and termination message."""

from __future__ import annotations

import os

import pytest
from agent_pods import AgentPod

from keeper_injector_agent import worker
from keeper_injector_agent.delivery import refresh
from keeper_injector_common.plan.paths import PLAN_PATH


def test_a_bug_is_reported_without_its_text(
    pod: AgentPod, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """For a bug, the message names the exception's type and line but never its text, which may contain a value."""
    pod.wants({"x": "api-keys[login]"})

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("of a value")

    monkeypatch.setattr(refresh, "deliver_records", broken)
    code = worker.run_refresh(pod.at(PLAN_PATH), root=pod.root, deadline=10.0, initial=True)
    assert code == os.EX_IOERR
    assert "internal error: ZeroDivisionError in test_reporting.py, line" in pod.termination_message()
    assert "of a value" not in pod.termination_message() + caplog.text
