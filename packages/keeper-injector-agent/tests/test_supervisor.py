"""The supervisor by itself: waits, deadlines, signals, metrics, and what it shows of itself."""

from __future__ import annotations

import errno
import os
import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from agent_pods import AgentPod, events, wait_for
from hypothesis import given
from hypothesis import strategies as st
from sidecars import IDLE_DESCRIPTORS, children, free_port, listening, logged_event, scrape, supervised

from keeper_injector_agent.supervisor import due_restart, relay_head
from keeper_injector_agent.supervisor import process as program
from keeper_injector_agent.supervisor.waits import first_wait, next_wait
from keeper_injector_common.plan import delivery, paths


def test_a_hanging_worker_is_terminated(tmp_path: Path) -> None:
    """The supervisor sends SIGTERM to a worker that passes the supervisor's deadline."""
    with supervised(tmp_path, 0.3, "import time; main = lambda _: time.sleep(60)") as process:
        assert logged_event(process, "worker.deadline_exceeded")["deadline_seconds"] == 0.3
        assert logged_event(process, "worker.killed")["signal"] == signal.SIGTERM
        wait_for(lambda: not children(process.pid))


RAN = """
import sys
def main(_):
    print('{"event": "worker.ran"}', file=sys.stderr)
    return 0
"""


def test_a_worker_that_cannot_be_started_is_logged(tmp_path: Path) -> None:
    """Without processes, memory or descriptors for a worker, the supervisor logs that, carries on, and tries again later."""
    with supervised(tmp_path, 5.0, RAN) as process:
        logged_event(process, "worker.ran")
        opened = Path(f"/proc/{process.pid}/fd")
        wait_for(lambda: not children(process.pid) and len(list(opened.iterdir())) == IDLE_DESCRIPTORS)
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (IDLE_DESCRIPTORS, IDLE_DESCRIPTORS))
        process.send_signal(signal.SIGHUP)
        assert logged_event(process, "worker.spawn_failed")["errno"] == errno.EMFILE
        process.send_signal(signal.SIGHUP)
        assert logged_event(process, "worker.spawn_failed")["errno"] == errno.EMFILE


def test_a_worker_that_crashes_is_a_failure(tmp_path: Path) -> None:
    """An exception ends the worker, not the supervisor, which waits as after any failure and runs the next worker."""
    with supervised(tmp_path, 5.0, "def main(_): raise ValueError('a bug')") as process:
        lines = iter(process.stderr or ())
        for _ in range(2):
            assert any(line == "ValueError: a bug\n" for line in lines)
            process.send_signal(signal.SIGHUP)
        assert process.poll() is None


INHERITED = """
import json, os, signal, sys
def main(arguments):
    pipe = int(arguments[-1])
    kept = [number for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP) if signal.getsignal(number) != signal.SIG_DFL]
    opened = [int(name) for name in os.listdir("/proc/self/fd")]
    facts = {"event": "worker.started", "kept": kept, "opened": sum(number > 2 for number in opened) - 1, "pipe": pipe in opened}
    print(json.dumps(facts), file=sys.stderr)
    return 0
"""


def test_a_worker_inherits_nothing_but_the_pipe(tmp_path: Path) -> None:
    """A worker has the default action for each signal, and of the supervisor's descriptors only the pipe for its throttle wait."""
    with supervised(tmp_path, 5.0, INHERITED) as process:
        facts = logged_event(process, "worker.started")
    assert (facts["kept"], facts["opened"], facts["pipe"]) == ([], 1, True)


ORPHAN = """
import os, sys, time
def main(_):
    worker = os.getpid()
    if os.fork() == 0:
        while os.getppid() == worker:
            time.sleep(0.01)
        print('{"event": "worker.gone"}', file=sys.stderr, flush=True)
        time.sleep(3)
        print('{"event": "orphan.ended"}', file=sys.stderr)
    return 0
"""


def test_a_process_that_a_worker_leaves_behind_delays_nothing(tmp_path: Path) -> None:
    """The supervisor does not wait for the throttle wait of a worker that has ended without one."""
    with supervised(tmp_path, 5.0, ORPHAN) as process:
        logged_event(process, "worker.gone")
        process.terminate()
        assert [event["event"] for event in events(process.stderr.readline())] == ["sidecar.stopped"]


AS_ANOTHER = """
import _ctypes, os, sys
from keeper_injector_agent.supervisor import process as supervisor
os.setgroups([])
os.setgid(12345)
os.setuid(12345)
# As exec would leave it: to change the user alone shuts a process.
_ctypes.call_cdeclfunction(_ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl"), (supervisor.PR_SET_DUMPABLE, 1, 0, 0, 0))
os.write(1, b"open")
sys.stdin.read()
supervisor.main([sys.argv[1], "3600", "5", "0", "/nowhere", "nothing"])
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")
def test_the_supervisor_cannot_be_inspected_by_its_own_user(tmp_path: Path) -> None:
    """A process of the same user in a shared process namespace can read neither its root nor its environment."""
    command = [sys.executable, "-c", AS_ANOTHER, str(tmp_path)]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    process = subprocess.Popen(command, text=True, **pipes)
    looks = (("/bin/ls", "root/"), ("/bin/ls", "fd/"), ("/bin/cat", "environ"))

    def seen() -> list[bool]:
        as_it_is = {"user": 12345, "group": 12345, "extra_groups": ()}
        run = [[program, f"/proc/{process.pid}/{what}"] for program, what in looks]
        return [not subprocess.run(line, **as_it_is, capture_output=True, check=False).returncode for line in run]

    try:
        assert process.stdout.read(4) == "open"
        assert seen() == [True] * len(looks)
        process.stdin.close()
        logged_event(process, "sidecar.started")
        assert seen() == [False] * len(looks)
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()


FRACTIONS = st.floats(0, 1)


@given(st.none() | st.floats(0, 10_000), st.floats(10, 100_000), FRACTIONS)
def test_the_first_wait_is_within_the_interval(age: float | None, interval: float, random: float) -> None:
    """Without a success there is no wait; otherwise it is a random part of what is left of the interval."""
    wait = first_wait(age, interval, random)
    assert 0 <= wait <= interval
    assert age is not None or wait == 0


@given(st.floats(10, 100_000), st.integers(0, 1000), st.floats(0, 3600), FRACTIONS)
def test_waits_grow_to_ten_minutes_and_respect_the_throttle_wait(
    interval: float, failures: int, throttle_wait: float, random: float
) -> None:
    """Waits are the interval ±10 %; after failures they grow, and they are never shorter than Keeper wants."""
    wait = next_wait(interval, failures, throttle_wait, random)
    if failures == 0:
        assert 0.9 * interval <= wait <= 1.1 * interval
    else:
        assert throttle_wait <= wait <= max(600.0, interval, throttle_wait * 1.25)


def test_a_silent_client_does_not_block_the_metrics_port(pod: AgentPod) -> None:
    """A connection without a request is closed after a second, and the next one is answered."""
    port = free_port()
    pod.wants({"x": "api-keys[login]"}, metrics_port=port)
    assert pod.run("init").returncode == 0
    process = pod.start("sidecar")
    try:
        wait_for(lambda: pod.run("ready").returncode == 0)
        with socket.create_connection(("127.0.0.1", port)):
            assert scrape(port)["keeper_injector_agent_refreshes_total[ok]"] == 1
    finally:
        process.terminate()
        process.communicate(timeout=5)


def test_a_metrics_port_in_use_is_logged(pod: AgentPod) -> None:
    """The sidecar logs that the port is in use and runs without metrics."""
    with listening() as port:
        pod.wants({"x": "api-keys[login]"}, metrics_port=port)
        assert pod.run("init").returncode == 0
        process = pod.start("sidecar")
        wait_for(lambda: pod.run("ready").returncode == 0)
        process.terminate()
        log = process.communicate(timeout=5)[1]
    assert process.returncode == 0
    logged = [line for line in events(log) if line["event"] == "metrics.unavailable"]
    assert [line["port"] for line in logged] == [port]


def test_names_of_state_files_are_those_of_the_plan() -> None:
    """The supervisor may import nothing, so it repeats the names of the files that it shares with the workers."""
    names = ("READY_NAME", "REFRESHED_NAME", "METRICS_NAME")
    assert [getattr(program, name) for name in names] == [getattr(paths, name) for name in names]
    assert relay_head.RELAY_NAME == paths.RELAY_NAME
    assert due_restart.RESTART_NAME == paths.RESTART_NAME
    assert due_restart.RESTART_ALL_CODE == delivery.RESTART_ALL_CODE
