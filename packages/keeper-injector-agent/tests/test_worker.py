"""The worker: plans, deadlines and exit codes."""

from __future__ import annotations

import os

import pytest
from agent_pods import AgentPod

from keeper_injector_common.plan.paths import PLAN_PATH


@pytest.mark.parametrize(
    ("plan", "message"), [("{", "not JSON"), ('{"version": 9}', "use an agent image as new as the webhook")]
)
def test_an_invalid_plan_ends_the_command(pod: AgentPod, plan: str, message: str) -> None:
    """A damaged plan, or one of a newer version, is reported before anything else happens."""
    pod.put(PLAN_PATH, plan)
    assert pod.run("init").returncode == os.EX_CONFIG
    assert message in pod.termination_message()
    assert pod.run("sidecar").returncode == os.EX_CONFIG
