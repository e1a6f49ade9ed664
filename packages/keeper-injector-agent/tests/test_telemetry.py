"""What the agent tells about itself: the metrics port and ``status``, for machines and for people."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import requests
from agent_pods import AgentPod, events, wait_for
from prometheus_client.parser import text_string_to_metric_families

from local_keeper import Fault, LocalKeeper


@contextmanager
def listening() -> Iterator[int]:
    """Hold a port that nobody else can have."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def free_port() -> int:
    """Return a port that nobody has."""
    with listening() as port:
        return port


def samples(port: int) -> dict[str, float]:
    """Scrape the sidecar, and read what it says by Prometheus' own parser."""
    answer = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=5)
    assert answer.status_code == 200
    return {
        sample.name + "".join(f"[{value}]" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_the_metrics_port(pod: AgentPod, keeper: LocalKeeper) -> None:
    """Freshness, refreshes, requests and changes are there, before and after a refresh; no record and no secret is."""
    port = free_port()
    pod.wants({"x": "api-keys[login]"}, metrics_port=port)
    assert pod.run("init").returncode == 0
    process = pod.start("sidecar")
    try:
        wait_for(lambda: pod.run("ready").returncode == 0)
        first = samples(port)
        assert first["keeper_injector_agent_refreshes_total[ok]"] == 1
        assert first["keeper_injector_agent_requests_total[ok]"] == 1
        assert first["keeper_injector_agent_changes_total"] == 1
        assert first["keeper_injector_agent_files"] == 1
        assert first["keeper_injector_agent_bytes"] == len("billing")
        keeper.fault(Fault.revoked(), "get_secret", None)
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: samples(port)["keeper_injector_agent_consecutive_failures"] == 1)
        last = samples(port)
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


def test_who_asks_and_says_nothing_holds_up_nothing(pod: AgentPod) -> None:
    """A silent connection is cut after a second; the next one is answered."""
    port = free_port()
    pod.wants({"x": "api-keys[login]"}, metrics_port=port)
    assert pod.run("init").returncode == 0
    process = pod.start("sidecar")
    try:
        wait_for(lambda: pod.run("ready").returncode == 0)
        with socket.create_connection(("127.0.0.1", port)):
            assert samples(port)["keeper_injector_agent_refreshes_total[ok]"] == 1
    finally:
        process.terminate()
        process.communicate(timeout=5)


def test_a_port_that_is_taken(pod: AgentPod) -> None:
    """The sidecar says so and does its work without metrics."""
    with listening() as port:
        pod.wants({"x": "api-keys[login]"}, metrics_port=port)
        assert pod.run("init").returncode == 0
        process = pod.start("sidecar")
        wait_for(lambda: pod.run("ready").returncode == 0)
        process.terminate()
        log = process.communicate(timeout=5)[1]
    assert process.returncode == 0
    said = [line for line in events(log) if line["event"] == "metrics.unavailable"]
    assert [line["port"] for line in said] == [port]


def test_status(pod: AgentPod, keeper: LocalKeeper) -> None:
    """Never, then fresh, then stale with the reason; the same for people and as JSON."""
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
