"""A process of the agent's user polls /proc while the agent works, and gets nothing. Each claim has its control."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from agent_pods import VOLUME, AgentPod, item, wait_for
from sidecars import logged_event
from thieves import as_plain_user, copy_interpreter, thief

from keeper_injector_common.plan.delivery import Templated
from keeper_injector_common.plan.model import Directory, FileItem
from keeper_injector_common.references import parse_reference
from local_keeper import LocalKeeper

EVERYTHING = ["environ", "fd", "mem", "root"]
READABLE, UNREADABLE = 0o755, 0o111
REFRESHES = 100
RESTARTS = 5


def test_an_unprotected_process_is_seen(tmp_path: Path) -> None:
    """The control: the thief reads everything of a process of the same user that has not protected itself."""
    interpreter = copy_interpreter(tmp_path / "venv", READABLE)
    with thief(interpreter, tmp_path) as watching:
        sleep = ("-c", "import time; print(1, flush=True); time.sleep(1)", str(tmp_path))
        subprocess.run(as_plain_user(interpreter, *sleep), check=True, capture_output=True)
        assert watching.stop().found == EVERYTHING


def test_refreshes_show_nothing(pod: AgentPod, keeper: LocalKeeper, tmp_path: Path) -> None:
    """During 100 refreshes, with templates, nothing can be read of supervisor, workers and renderers."""
    interpreter = copy_interpreter(tmp_path / "venv", READABLE)
    want_template(pod)
    assert run(pod, interpreter, "init").returncode == 0
    with sidecar(pod, interpreter) as process, thief(interpreter, pod.root) as watching:
        for number in range(REFRESHES):
            if number % 25 == 0:
                keeper.set_field("api-keys", "login", f"user-{number}")
            process.send_signal(signal.SIGHUP)
            event = "secrets.refreshed" if number % 25 == 0 else "secrets.unchanged"
            logged_event(process, event)
        stolen = watching.stop()
    assert stolen.found == []
    assert stolen.processes > REFRESHES
    assert pod.file("rendered") == "user-75"


def test_the_start_of_a_program_is_seen_if_its_interpreter_is_readable(pod: AgentPod, tmp_path: Path) -> None:
    """The control, and what remains outside our image: exec makes a process dumpable until it protects itself."""
    interpreter = copy_interpreter(tmp_path / "venv", READABLE)
    want_template(pod)
    found: set[str] = set()

    def start_again() -> bool:
        with thief(interpreter, pod.root) as watching:
            for _ in range(RESTARTS):
                run(pod, interpreter, "ready", "--wait", "0")
            found.update(watching.stop().found)
        return "root" in found

    wait_for(start_again, 60)


@pytest.mark.parametrize(
    "command", [["init"], ["once"], ["ready", "--wait", "0"], ["refresh"], ["status"]], ids=" ".join
)
def test_commands_show_nothing_if_the_interpreter_is_not_readable(
    pod: AgentPod, tmp_path: Path, command: list[str]
) -> None:
    """As in our image: from its first instruction on, nothing can be read of a process whose program its user cannot read."""
    interpreter = copy_interpreter(tmp_path / "venv", UNREADABLE)
    want_template(pod)
    with thief(interpreter, pod.root) as watching:
        for _ in range(RESTARTS):
            run(pod, interpreter, *command)
        stolen = watching.stop()
    assert stolen.found == []
    assert stolen.processes >= RESTARTS // 2


def test_a_refresh_needs_no_right_to_inspect_the_sidecar(pod: AgentPod, tmp_path: Path) -> None:
    """The command ``refresh`` has the user of the sidecar and no capabilities, as with ``kubectl exec``."""
    interpreter = copy_interpreter(tmp_path / "venv", UNREADABLE)
    want_template(pod)
    assert run(pod, interpreter, "init").returncode == 0
    with sidecar(pod, interpreter):
        done = run(pod, interpreter, "refresh")
    assert (done.returncode, done.stdout.split(":")[0]) == (0, "ok")


def test_restarts_of_the_sidecar_show_nothing_if_the_interpreter_is_not_readable(pod: AgentPod, tmp_path: Path) -> None:
    """The container may be restarted while the application runs."""
    interpreter = copy_interpreter(tmp_path / "venv", UNREADABLE)
    want_template(pod)
    assert run(pod, interpreter, "init").returncode == 0
    with thief(interpreter, pod.root) as watching:
        for _ in range(RESTARTS):
            with sidecar(pod, interpreter) as process:
                process.send_signal(signal.SIGHUP)
                logged_event(process, "secrets.unchanged")
        stolen = watching.stop()
    assert stolen.found == []
    assert stolen.processes >= RESTARTS


def want_template(pod: AgentPod) -> None:
    """Give the agent a plan with a file and a template."""
    template = FileItem("rendered", (parse_reference("api-keys"),), Templated("{{ .login }}"), 0o400)
    pod.plan(directories=(Directory(VOLUME, "/app", (item("x", "api-keys[password]"), template)),))


def command_line(pod: AgentPod, interpreter: str, command: str, *options: str) -> list[str]:
    """Return the command line of a command of the agent for a user without capabilities."""
    return as_plain_user(interpreter, "-m", "keeper_injector_agent", command, "--root", str(pod.root), *options)


def run(pod: AgentPod, interpreter: str, command: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the agent and wait for its end."""
    line = command_line(pod, interpreter, command, *options)
    return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)


@contextmanager
def sidecar(pod: AgentPod, interpreter: str) -> Iterator[subprocess.Popen[str]]:
    """Run the sidecar until the end of the block."""
    process = subprocess.Popen(command_line(pod, interpreter, "sidecar"), stderr=subprocess.PIPE, text=True)
    try:
        logged_event(process, "sidecar.started")
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=10)
