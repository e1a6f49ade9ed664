"""The KSM configuration in a file."""

from __future__ import annotations

import os

from agent_pods import AgentPod

from keeper_injector_common.plan.paths import CREDENTIALS_PATH


def test_a_missing_configuration_file_is_explained(pod: AgentPod) -> None:
    """The message names the key that the Secret needs."""
    pod.at(CREDENTIALS_PATH).unlink()
    pod.wants({"x": "api-keys[login]"})
    assert pod.run("init").returncode == os.EX_NOPERM
    assert "needs the key 'config'" in pod.termination_message()
