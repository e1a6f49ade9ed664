"""Sessions: retries, credentials and the throttle window."""

from __future__ import annotations

import os

from agent_pods import AgentPod

from local_keeper import Fault, LocalKeeper


def test_a_restart_respects_the_throttle_window(pod: AgentPod, keeper: LocalKeeper) -> None:
    """A restarted container sends no request before the time that Keeper set."""
    pod.wants({"x": "api-keys[login]"})
    keeper.fault(Fault.throttled(403, 30), "get_secret", 1)
    assert pod.run("init").returncode == os.EX_TEMPFAIL
    assert pod.run("init").returncode == os.EX_TEMPFAIL
    assert keeper.requests == {"get_secret": 1}


def test_a_failed_download_is_retried(pod: AgentPod, keeper: LocalKeeper) -> None:
    """A download that fails once is retried, so that the pod does not need a restart."""
    pod.wants({"pem": "keeper://TLS Certs/file/server.pem"})
    keeper.fault(Fault.http(503), "file_download", 1)
    assert pod.run("init").returncode == 0
    assert keeper.requests == {"get_secret": 1, "file_download": 2}
