"""The API server as a pod reaches it: errors, retries and permissions."""

from __future__ import annotations

import os

from agent_pods import AgentPod
from secret_clusters import SecretCluster, wanted_secret


def test_a_failure_of_the_api_server_is_retried(pod: AgentPod, cluster: SecretCluster) -> None:
    """The agent retries server errors and throttling with growing waits."""
    cluster.failures = [503, 429]
    pod.plan(kubernetes_secrets=(wanted_secret("api-keys[login]"),))
    assert pod.run("init").returncode == 0
    assert cluster.data("app") == {"login": "billing"}


def test_a_missing_permission_is_explained(pod: AgentPod, cluster: SecretCluster) -> None:
    """The message names the missing permission, who can grant it, and the API server's own words, as for a quota."""
    cluster.failures = [403]
    pod.plan(kubernetes_secrets=(wanted_secret("api-keys[login]"),))
    assert pod.run("init").returncode == os.EX_IOERR
    assert "needs a Role with get, create and update on secrets" in pod.termination_message()
    assert "the API server says: no, because of 403" in pod.termination_message()


def test_outside_of_a_cluster_the_lack_is_explained(pod: AgentPod) -> None:
    """Without the pod's service account, the message says what is missing."""
    pod.plan(kubernetes_secrets=(wanted_secret("api-keys[login]"),))
    assert pod.run("init").returncode == os.EX_IOERR
    assert "the API server cannot be reached from here" in pod.termination_message()
