"""Notifications: who is notified of a change and when, and what happens if nobody is there."""

from __future__ import annotations

import contextlib
import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from agent_pods import VOLUME, AgentPod, events, wait_for

from keeper_injector_agent.delivery.notify import application_processes, notify_application
from keeper_injector_agent.state import State
from keeper_injector_common.plan.delivery import Notify
from local_keeper import LocalKeeper

LISTENER = """
import signal, sys, time
from pathlib import Path
def record(*_):
    with open(sys.argv[2], "a") as seen:
        seen.write(Path(sys.argv[1]).read_text() + "\\n")
signal.signal(signal.SIGHUP, record)
Path(sys.argv[2]).touch()
while True:
    time.sleep(60)
"""


@contextmanager
def application(pod: AgentPod, name: str) -> Iterator[Path]:
    """Run a process called *name* that records the content of its file at each SIGHUP."""
    program, seen = pod.root / name, pod.root / "seen"
    program.symlink_to(sys.executable)
    command = [str(program), "-c", LISTENER, str(pod.at(f"{VOLUME}/x")), str(seen)]
    with subprocess.Popen(command, start_new_session=True) as process:
        try:
            wait_for(seen.exists)
            yield seen
        finally:
            process.kill()


def test_a_signal_comes_after_the_swap(pod: AgentPod, keeper: LocalKeeper) -> None:
    """The application reads the new value in its signal handler; init and unchanged refreshes send no signal."""
    pod.wants({"x": "api-keys[login]"}, notify=Notify(signal="SIGHUP", process="listening-app"))
    assert pod.run("init").returncode == 0
    with application(pod, "listening-app") as seen:
        assert pod.run("once").returncode == 0
        keeper.set_field("api-keys", "login", "new")
        assert pod.run("once").returncode == 0
        wait_for(lambda: seen.read_text(encoding="utf-8") == "new\n")
        assert pod.run("once").returncode == 0
        assert seen.read_text(encoding="utf-8") == "new\n"


def test_a_missing_process_is_logged(pod: AgentPod, keeper: LocalKeeper) -> None:
    """If no process has the name, that is logged and the files are updated nevertheless."""
    pod.wants({"x": "api-keys[login]"}, notify=Notify(signal="SIGHUP", process="nobody-here"))
    assert pod.run("init").returncode == 0
    keeper.set_field("api-keys", "login", "new")
    result = pod.run("once")
    assert (result.returncode, pod.file("x")) == (0, "new")
    assert "no process named 'nobody-here'" in result.stderr


@pytest.mark.parametrize(
    ("cgroups", "signalled"),
    [
        (("0::/../app", "0::/../other"), [20, 50]),
        # If cgroups do not distinguish containers, one process too many is better than none.
        (("0::/", "0::/"), [20, 50, 40]),
    ],
    ids=["separate cgroups", "one cgroup"],
)
def test_the_first_process_of_each_container(tmp_path: Path, cgroups: tuple[str, str], signalled: list[int]) -> None:
    """The first process of each container is signalled, but no orphaned job and no probe, which starts later."""
    app, other = cgroups
    # By process ID: name, parent, group, start time and cgroup.
    processes = {
        1: ("pause", 0, 1, 100, "0::/../pause"),
        20: ("app (old) x", 0, 20, 200, app),
        21: ("worker", 20, 20, 210, app),
        31: ("orphan", 1, 31, 300, app),
        40: ("probe", 0, 40, 400, app),
        50: ("other", 0, 50, 250, other),
        os.getpid(): ("agent", 0, os.getpgid(0), 260, "0::/"),
    }
    for number, (name, parent, group, started, cgroup) in processes.items():
        folder = tmp_path / str(number)
        folder.mkdir()
        zeros = " ".join("0" * 16)
        (folder / "stat").write_text(f"{number} ({name}) S {parent} {group} {zeros} {started} 0 0")
        (folder / "cgroup").write_text(f"{cgroup}\n")
    (tmp_path / "self").mkdir()
    assert list(application_processes(None, tmp_path)) == signalled
    assert list(application_processes("worker", tmp_path)) == [21]


@contextmanager
def endpoint(*statuses: int) -> Iterator[tuple[str, list[str]]]:
    """Serve HTTP with these statuses in turn, then only with the last; yields the URL and the requested paths."""
    requested: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            requested.append(self.path)
            self.send_response(statuses[min(len(requested), len(statuses)) - 1])
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/-/reload?x=1", requested
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("statuses", "requests", "event"),
    [
        ([200], 1, "notify.posted"),
        ([503, 200], 2, "notify.posted"),
        ([500], 3, "notify.failed"),
    ],
    ids=["first attempt", "second attempt", "never"],
)
def test_a_change_is_posted_to_the_application(
    pod: AgentPod, keeper: LocalKeeper, statuses: list[int], requests: int, event: str
) -> None:
    """The request is sent up to three times; a failure is only logged."""
    with endpoint(*statuses) as (url, requested):
        pod.wants({"x": "api-keys[login]"}, notify=Notify(url=url))
        assert pod.run("init").returncode == 0
        keeper.set_field("api-keys", "login", "new")
        result = pod.run("once")
    assert (result.returncode, pod.file("x")) == (0, "new")
    assert requested == ["/-/reload?x=1"] * requests
    assert event in [line["event"] for line in events(result.stderr)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")
def test_a_process_of_another_user_is_reported() -> None:
    """The kernel does not let a user signal another one; the message names the annotation that helps."""
    memory = State()
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        child = os.fork()
        if child == 0:
            os.setuid(65534)
            with contextlib.suppress(BaseException):
                notify_application(Notify(signal="SIGHUP", process="sleep"), memory)
            os._exit(memory.counts.get("notifications_failed", 0))
        failed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert process.poll() is None
        process.kill()
    assert failed >= 1
