"""The sidecar as a process: refreshes, signals, deadlines and outages."""

from __future__ import annotations

import signal
import time

from agent_pods import VOLUME, AgentPod, shown, wait_for
from sidecars import children, logged_event, sidecar

from local_keeper import Fault, LocalKeeper


def test_a_rotation_arrives_after_sighup(pod: AgentPod, keeper: LocalKeeper) -> None:
    """After SIGHUP the sidecar refreshes at once and delivers the new value in a new generation."""
    pod.wants({"x": "api-keys[login]"})
    assert pod.run("init").returncode == 0
    before = pod.at(f"{VOLUME}/..data").readlink()
    with sidecar(pod) as process:
        keeper.set_field("api-keys", "login", "new")
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: pod.file("x") == "new")
    assert pod.at(f"{VOLUME}/..data").readlink() != before


def test_the_sidecar_does_not_fetch_again_after_init(pod: AgentPod, keeper: LocalKeeper) -> None:
    """The init container has just fetched, so the sidecar waits before its first refresh."""
    pod.wants({"x": "api-keys[login]"})
    assert pod.run("init").returncode == 0
    with sidecar(pod):
        pass
    assert keeper.requests == {"get_secret": 1}


def test_the_sidecar_fetches_at_once_without_a_success(pod: AgentPod) -> None:
    """A pod that started without its secrets gets them as soon as Keeper is available."""
    pod.wants({"x": "api-keys[login]"})
    with sidecar(pod):
        wait_for(lambda: pod.files() == ["x"])


def test_an_outage_leaves_files_and_sidecar_in_place(pod: AgentPod, keeper: LocalKeeper) -> None:
    """During an outage the files stay and the sidecar keeps running; after it, the next refresh delivers."""
    pod.wants({"x": "api-keys[login]"})
    assert pod.run("init").returncode == 0
    keeper.fault(Fault.revoked(), "get_secret", None)
    with sidecar(pod) as process:
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: keeper.requests["get_secret"] == 2)
        assert process.poll() is None
        assert pod.file("x") == "billing"
        keeper.clear_faults()
        keeper.set_field("api-keys", "login", "new")
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: pod.file("x") == "new")


def test_a_worker_past_its_deadline_is_ended(pod: AgentPod, keeper: LocalKeeper) -> None:
    """A refresh that hangs ends with its worker, and the supervisor carries on."""
    pod.wants({"x": "api-keys[login]"})
    keeper.fault(Fault.hang(), "get_secret", 1)
    with sidecar(pod, "--deadline", "3") as process:
        wait_for(lambda: keeper.requests.get("get_secret") == 1)
        wait_for(lambda: not children(process.pid))
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: pod.files() == ["x"])


def test_a_worker_reports_what_was_missing_at_its_deadline(pod: AgentPod, keeper: LocalKeeper) -> None:
    """A worker ends itself at its own deadline, before the supervisor does, and reports what failed."""
    pod.wants({"x": "api-keys[login]"})
    keeper.fault(Fault.hang(), "get_secret", None)
    with sidecar(pod, "--deadline", "3") as process:
        assert "Keeper" in logged_event(process, "refresh.failed")["cause"]


def test_sigterm_does_not_wait_for_a_worker(pod: AgentPod, keeper: LocalKeeper) -> None:
    """The sidecar ends in under a second even during a refresh. On a busy machine the best of a few is measured."""
    pod.wants({"x": "api-keys[login]"})
    keeper.fault(Fault.hang(), "get_secret", None)
    seconds = []
    while min(seconds, default=1.0) >= 1.0 and len(seconds) < 5:
        keeper.reset_requests()
        with sidecar(pod) as process:
            wait_for(lambda: keeper.requests.get("get_secret") == 1)
            started = time.monotonic()
            process.terminate()
            assert process.wait(10) == 0
            seconds.append(time.monotonic() - started)
    assert min(seconds) < 1.0


def test_the_supervisor_shows_no_secret(pod: AgentPod, keeper: LocalKeeper) -> None:
    """Command line and environment of the supervisor contain no part of the configuration."""
    pod.wants({"x": "api-keys[login]"})
    with sidecar(pod) as process:
        for value in keeper.config_dict().values():
            assert len(value) < 8 or value.encode() not in shown(process.pid)
