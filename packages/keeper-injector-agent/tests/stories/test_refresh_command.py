"""The command ``refresh`` with a running sidecar."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import termios
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from agent_pods import AgentPod, wait_for
from sidecars import sidecar

from keeper_injector_agent.refresh_command import request_refresh
from keeper_injector_agent.supervisor.refresh_requests import (
    KILLED,
    PIPE_NAME,
    PROGRESS_NAME,
    RefreshRequests,
    read_progress,
)
from keeper_injector_common.plan.paths import PLAN_PATH, STATE_PATH
from local_keeper import Fault, LocalKeeper


@pytest.fixture(name="running")
def _running(pod: AgentPod) -> AgentPod:
    """A pod with one file that has started."""
    pod.wants({"x": "api-keys[login]"})
    assert pod.run("init").returncode == 0
    return pod


def test_refresh_delivers_a_change_and_shows_it(running: AgentPod, keeper: LocalKeeper) -> None:
    """The command ends when the new value is delivered; the table shows the change."""
    keeper.set_field("api-keys", "login", "new")
    with sidecar(running):
        done = running.run("refresh")
        assert (done.returncode, running.file("x"), done.stderr) == (0, "new", "")
        first, _, head, row = done.stdout.splitlines()
        assert first.startswith("ok: everything is up to date")
        assert head.split() == ["TARGET", "UP", "TO", "DATE", "LAST", "CHANGE"]
        assert row.startswith("/app ")
        assert "not since" not in row
        again = json.loads(running.run("refresh", "-o", "json").stdout)
    assert (again["result"], again["joined"], again["targets"][0]["stale"]) == ("ok", False, [])
    assert keeper.requests == {"get_secret": 3}


def test_refresh_fails_with_the_reason(running: AgentPod, keeper: LocalKeeper) -> None:
    """Exit code 1 for a problem of one item and for a Keeper that does not answer; the files stay."""
    running.wants({"x": "api-keys[login]", "y": "two-factor[login]"})
    assert running.run("once").returncode == 0
    with sidecar(running):
        keeper.remove_record("two-factor")
        partial = running.run("refresh")
        assert (partial.returncode, partial.stdout.split(":")[0]) == (1, "partial")
        assert "/app/y: record 'two-factor': not shared with this application" in partial.stdout
        keeper.fault(Fault.revoked(), "get_secret", None)
        failed = running.run("refresh", "-o", "json")
        assert failed.returncode == 1
        found = json.loads(failed.stdout)
        assert (found["result"], "access denied" in found["message"]) == ("failed", True)
    assert running.files() == ["x", "y"]


def test_refresh_respects_throttling(running: AgentPod, keeper: LocalKeeper) -> None:
    """Each request within Keeper's window would extend it, so none is sent, and no worker is started."""
    with sidecar(running):
        keeper.fault(Fault.throttled(403, 60), "get_secret", None)
        assert running.run("refresh").returncode == 1
        before = read_progress(str(running.at(STATE_PATH))).number
        throttled = running.run("refresh")
        assert throttled.returncode == 1
        assert throttled.stdout.startswith("throttled: Keeper: throttled earlier; no request for ")
        assert read_progress(str(running.at(STATE_PATH))).number == before
    assert keeper.requests == {"get_secret": 2}


def test_a_call_during_a_refresh_joins_it(running: AgentPod, keeper: LocalKeeper) -> None:
    """The command shows the result of the refresh that is running, and causes no other."""
    with sidecar(running) as process:
        keeper.fault(Fault.slow(6.0), "get_secret", 1)
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: read_progress(str(running.at(STATE_PATH))).running)
        found = json.loads(running.run("refresh", "-o", "json").stdout)
    assert (found["result"], found["joined"]) == ("ok", True)
    assert keeper.requests == {"get_secret": 2}


def test_any_number_of_calls_join_one_refresh(tmp_path: Path) -> None:
    """All requests that arrive before the end of a refresh are answered by it."""
    requests = RefreshRequests(str(tmp_path))
    requests.begin()
    with ThreadPoolExecutor(5) as pool:
        calls = [pool.submit(request_refresh, tmp_path, 30.0) for _ in range(5)]
        wait_for(lambda: waiting_bytes(requests.fileno()) == len(calls))
        requests.end(os.EX_OK)
        found = [call.result() for call in calls]
    assert [(each.result, each.joined) for each in found] == [("ok", True)] * 5
    assert (read_progress(str(tmp_path)).number, requests.pending, waiting_bytes(requests.fileno())) == (1, False, 0)


def waiting_bytes(pipe: int) -> int:
    """Return how many bytes a pipe holds."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


def test_a_killed_refresh_is_reported(running: AgentPod, keeper: LocalKeeper) -> None:
    """A worker that runs out of memory leaves no result; the command says so and does not wait longer."""
    with sidecar(running) as process:
        keeper.fault(Fault.hang(), "get_secret", 1)
        with running.start("refresh") as call:
            wait_for(lambda: keeper.requests["get_secret"] == 2)
            (worker,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii").split()
            os.kill(int(worker), signal.SIGKILL)
            assert call.wait(20) == 1
        assert "the refresh was killed: signal 9" in running.run("status").stdout


def test_a_refresh_without_a_report_is_a_failure(running: AgentPod) -> None:
    """A plan that cannot be read ends a worker before it knows where its state is."""
    with sidecar(running):
        running.put(PLAN_PATH, json.dumps({"version": 9, "state": STATE_PATH}))
        done = running.run("refresh")
    assert done.returncode == 1
    assert done.stdout.startswith(f"failed: exit code {os.EX_CONFIG}; the log of the sidecar has the reason")


@pytest.mark.parametrize("left", [False, True], ids=["never ran", "has ended"])
def test_without_a_sidecar_refresh_says_where_to_run_it(running: AgentPod, *, left: bool) -> None:
    """In the init container, or after the end of the sidecar, nobody would answer."""
    if left:
        with sidecar(running):
            pass
    done = running.run("refresh")
    assert done.returncode == 1
    assert "run this command in container keeper-injector-sidecar" in done.stdout


def test_a_timeout_ends_the_command_only(running: AgentPod, keeper: LocalKeeper) -> None:
    """The sidecar goes on if the command does not wait any longer."""
    with sidecar(running):
        keeper.fault(Fault.hang(), "get_secret", 1)
        done = running.run("refresh", "--timeout", "0.2")
    assert (done.returncode, done.stdout.split(":")[0]) == (1, "timeout")


def test_only_the_agents_user_can_ask(running: AgentPod) -> None:
    """The pipe and the file have mode 0600."""
    with sidecar(running):
        running.run("refresh")
        modes = {name: running.at(f"{STATE_PATH}/{name}").stat().st_mode & 0o777 for name in (PIPE_NAME, PROGRESS_NAME)}
    assert set(modes.values()) == {0o600}


def test_no_request_is_lost(tmp_path: Path) -> None:
    """A byte that arrives before the end of a refresh is answered by it; a later one stays and causes the next."""
    requests = RefreshRequests(str(tmp_path))
    pipe = os.open(tmp_path / PIPE_NAME, os.O_WRONLY | os.O_NONBLOCK)
    requests.begin()
    os.write(pipe, b"r")
    requests.end(0)
    assert (read_progress(str(tmp_path)).number, requests.pending) == (1, False)
    os.write(pipe, b"r")
    requests.serve()
    assert requests.pending
    os.close(pipe)


def test_a_crash_of_the_supervisor_ends_its_refresh(tmp_path: Path) -> None:
    """The next supervisor reports that the refresh was killed, and goes on counting."""
    RefreshRequests(str(tmp_path)).begin()
    requests = RefreshRequests(str(tmp_path))
    found = read_progress(str(tmp_path))
    assert (found.number, found.running, found.code) == (1, False, KILLED)
    requests.begin()
    assert read_progress(str(tmp_path)).number == 2
