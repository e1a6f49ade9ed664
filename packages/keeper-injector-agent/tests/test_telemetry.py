"""Telemetry: the metrics port and ``status``, for machines and for people."""

from __future__ import annotations

import json
import signal

import requests
from agent_pods import AgentPod, wait_for
from sidecars import free_port, scrape

from local_keeper import Fault, LocalKeeper


def test_metrics_are_served_without_names_or_values(pod: AgentPod, keeper: LocalKeeper) -> None:
    """Freshness, refreshes, requests and changes are served before and after a refresh, without records or values."""
    port = free_port()
    pod.wants({"x": "api-keys[login]"}, metrics_port=port)
    assert pod.run("init").returncode == 0
    process = pod.start("sidecar")
    try:
        wait_for(lambda: pod.run("ready").returncode == 0)
        first = scrape(port)
        assert first["keeper_injector_agent_refreshes_total[ok]"] == 1
        assert first["keeper_injector_agent_requests_total[ok]"] == 1
        assert first["keeper_injector_agent_changes_total"] == 1
        assert first["keeper_injector_agent_files"] == 1
        assert first["keeper_injector_agent_bytes"] == len("billing")
        keeper.fault(Fault.revoked(), "get_secret", None)
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: scrape(port)["keeper_injector_agent_consecutive_failures"] == 1)
        last = scrape(port)
        assert last["keeper_injector_agent_refreshes_total[failed]"] == 1
        same = "keeper_injector_agent_last_success_timestamp_seconds"
        assert last[same] == first[same]
        assert requests.get(f"http://127.0.0.1:{port}/other", timeout=5).status_code == 404
        text = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text
        assert "billing" not in text
        assert "api-keys" not in text
    finally:
        process.terminate()
        log = process.communicate(timeout=5)[0]
    assert log is None
    assert process.returncode == 0


def test_status_shows_freshness_and_the_last_error(pod: AgentPod, keeper: LocalKeeper) -> None:
    """Status is never, then fresh, then stale with the reason; as text and as JSON."""
    pod.wants({"x": "api-keys[login]"})
    nothing = pod.run("status")
    assert nothing.returncode == 1
    assert "last success  never" in nothing.stdout
    assert pod.run("init").returncode == 0
    keeper.fault(Fault.throttled(403, 60), "get_secret", None)
    pod.run("once")
    text = pod.run("status")
    assert text.returncode == 0
    assert "refreshes     1 failed, 1 ok" in text.stdout
    assert "throttled     no request for" in text.stdout
    status = json.loads(pod.run("status", "-o", "json").stdout)
    assert status["failures"] == 1
    assert status["refreshes"] == {"failed": 1, "ok": 1}
    assert status["requests"]["ok"] == 1
    assert 0 < status["throttledForSeconds"] <= 60
    assert "throttled" in status["lastError"]
    assert "billing" not in text.stdout + json.dumps(status)
