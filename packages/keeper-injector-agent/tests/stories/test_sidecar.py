"""The sidecar as a process: refreshes, signals, deadlines, and what it leaves alone."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from agent_pods import VOLUME, AgentPod, shown, wait_for
from hypothesis import given
from hypothesis import strategies as st

from keeper_injector_agent import supervisor
from local_keeper import Fault, LocalKeeper


@contextmanager
def sidecar(pod: AgentPod, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Run the sidecar; it must end by SIGTERM in under a second, with exit code 0 and no child left."""
    process = pod.start("sidecar", *options)
    try:
        wait_for(lambda: pod.run("ready").returncode == 0)
        yield process
        started = time.monotonic()
        process.terminate()
        assert process.wait(5) == 0
        assert time.monotonic() - started < 1.0
    finally:
        process.kill()
        process.communicate()


def test_a_rotation_arrives_after_sighup(pod: AgentPod, keeper: LocalKeeper) -> None:
    """SIGHUP is a refresh now; the new value is there, by a new generation."""
    pod.wants({"x": "api-keys[login]"})
    assert pod.run("init").returncode == 0
    before = pod.at(f"{VOLUME}/..data").readlink()
    with sidecar(pod) as process:
        keeper.set_field("api-keys", "login", "new")
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: pod.file("x") == "new")
    assert pod.at(f"{VOLUME}/..data").readlink() != before


def test_after_a_success_the_first_look_is_spread(pod: AgentPod, keeper: LocalKeeper) -> None:
    """The init container has just fetched: the sidecar does not fetch again at its start."""
    pod.wants({"x": "api-keys[login]"})
    assert pod.run("init").returncode == 0
    with sidecar(pod):
        pass
    assert keeper.requests == {"get_secret": 1}


def test_without_a_success_it_looks_at_once(pod: AgentPod) -> None:
    """A pod that started without its secrets gets them as soon as Keeper is back."""
    pod.wants({"x": "api-keys[login]"})
    with sidecar(pod):
        wait_for(lambda: pod.files() == ["x"])


def test_an_outage_changes_nothing(pod: AgentPod, keeper: LocalKeeper) -> None:
    """Files stay, the sidecar stays, the next success goes on."""
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
    """A hang in anything ends with its process, and the supervisor goes on."""
    pod.wants({"x": "api-keys[login]"})
    keeper.fault(Fault.hang(), "get_secret", 1)
    with sidecar(pod, "--deadline", "1") as process:
        wait_for(lambda: keeper.requests.get("get_secret") == 1)
        wait_for(lambda: not children(process.pid))
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: pod.files() == ["x"])


@contextmanager
def supervised(folder: Path, deadline: float, *worker: str) -> Iterator[subprocess.Popen[str]]:
    """Run a supervisor by itself, with any program for a worker; the first refresh is at once."""
    interpreter = [str(Path(sys.executable).resolve()), "-I", "-S"]
    source = folder / "supervisor.py"
    source.write_text(Path(supervisor.__file__).read_text(encoding="utf-8"), encoding="utf-8")
    command = [*interpreter, str(source), str(folder), "3600", str(deadline), "0", *worker]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def said(process: subprocess.Popen[str], event: str) -> dict[str, Any]:
    """Return the next line of its log that tells of *event*."""
    for line in process.stderr or ():
        found: dict[str, Any] = json.loads(line)
        if found["event"] == event:
            return found
    raise AssertionError(f"{event} was not said")


def test_a_worker_that_does_not_end_is_ended(tmp_path: Path) -> None:
    """By force, when its own deadline has not done it."""
    with supervised(tmp_path, 0.3, sys.executable, "-c", "import time; time.sleep(60)") as process:
        assert said(process, "worker.deadline_exceeded")["deadline_seconds"] == 0.3
        assert said(process, "worker.killed")["signal"] == signal.SIGTERM
        wait_for(lambda: not children(process.pid))


def test_a_worker_that_cannot_be_started(tmp_path: Path) -> None:
    """No process to be had, no memory: it is said, and the sidecar stays and tries again later."""
    with supervised(tmp_path, 5.0, str(tmp_path / "nothing")) as process:
        assert said(process, "worker.spawn_failed")["errno"] == errno.ENOENT
        process.send_signal(signal.SIGHUP)
        assert said(process, "worker.spawn_failed")["errno"] == errno.ENOENT


def test_a_worker_ends_itself_before_it_is_ended(pod: AgentPod, keeper: LocalKeeper) -> None:
    """Past its deadline it says what was missing, which nobody could who is killed."""
    pod.wants({"x": "api-keys[login]"})
    keeper.fault(Fault.hang(), "get_secret", None)
    with sidecar(pod, "--deadline", "1") as process:
        assert "Keeper" in said(process, "refresh.failed")["cause"]


AS_ANOTHER = """
import _ctypes, os, sys
from keeper_injector_agent import supervisor
os.setgroups([])
os.setgid(12345)
os.setuid(12345)
# As exec would leave it: to change the user alone shuts a process.
_ctypes.call_cdeclfunction(_ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl"), (supervisor.PR_SET_DUMPABLE, 1, 0, 0, 0))
os.write(1, b"open")
sys.stdin.read()
supervisor.main([sys.argv[1], "3600", "5", "0", "/bin/true"])
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")
def test_the_process_that_stays_is_shut_to_its_own_user(tmp_path: Path) -> None:
    """An application of the same user, in a shared process namespace, gets neither its root nor its environment."""
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
        said(process, "sidecar.started")
        assert seen() == [False] * len(looks)
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()


def test_sigterm_does_not_wait_for_a_worker(pod: AgentPod, keeper: LocalKeeper) -> None:
    """A pod ends in under a second even in the middle of a refresh."""
    pod.wants({"x": "api-keys[login]"})
    keeper.fault(Fault.hang(), "get_secret", None)
    with sidecar(pod):
        wait_for(lambda: keeper.requests.get("get_secret") == 1)


def test_nothing_secret_is_in_the_process_that_stays(pod: AgentPod, keeper: LocalKeeper) -> None:
    """Command line and environment of the supervisor show no part of the configuration."""
    pod.wants({"x": "api-keys[login]"})
    with sidecar(pod) as process:
        for value in keeper.config_dict().values():
            assert len(value) < 8 or value.encode() not in shown(process.pid)


def test_unchanged_records_are_not_written(pod: AgentPod, keeper: LocalKeeper) -> None:
    """Five refreshes, one generation, one download."""
    pod.wants({"x": "api-keys[login]", "pem": "keeper://TLS Certs/file/server.pem"})
    assert pod.run("init").returncode == 0
    before = pod.at(f"{VOLUME}/..data").readlink()
    for _ in range(5):
        assert pod.run("once").returncode == 0
    assert pod.at(f"{VOLUME}/..data").readlink() == before
    assert keeper.requests == {"get_secret": 6, "file_download": 1}


def children(process: int) -> list[str]:
    """Return the children of a process."""
    return Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii").split()


FRACTIONS = st.floats(0, 1)


@given(st.none() | st.floats(0, 10_000), st.floats(10, 100_000), FRACTIONS)
def test_the_first_wait_lies_within_the_interval(age: float | None, interval: float, random: float) -> None:
    """None without a success; else what is left of the interval, at random."""
    wait = supervisor.first_wait(age, interval, random)
    assert 0 <= wait <= interval
    assert age is not None or wait == 0


@given(st.floats(10, 100_000), st.integers(0, 1000), st.floats(0, 3600), FRACTIONS)
def test_waits_grow_to_ten_minutes_and_respect_quiet(
    interval: float, failures: int, hint: float, random: float
) -> None:
    """±10 % of the interval in good times; after failures longer and longer, never before Keeper wants."""
    wait = supervisor.next_wait(interval, failures, hint, random)
    if failures == 0:
        assert 0.9 * interval <= wait <= 1.1 * interval
    else:
        assert hint <= wait <= max(600.0, interval, hint * 1.25)


def test_a_download_that_fails_once_is_tried_again(pod: AgentPod, keeper: LocalKeeper) -> None:
    """An attachment's store may stumble: no pod has to start again for it."""
    pod.wants({"pem": "keeper://TLS Certs/file/server.pem"})
    keeper.fault(Fault.http(503), "file_download", 1)
    assert pod.run("init").returncode == 0
    assert keeper.requests == {"get_secret": 1, "file_download": 2}
