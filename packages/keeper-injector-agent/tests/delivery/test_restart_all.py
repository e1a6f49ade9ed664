"""`on-change: restart-all`: the sidecar exits once after a delivered change, and never for another reason."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
from agent_pods import AgentPod, events, wait_for
from hypothesis import given
from hypothesis import strategies as st

from keeper_injector_agent.delivery.restart_all import note_start, schedule_restart_all
from keeper_injector_agent.state import State, load_state
from keeper_injector_agent.supervisor.due_restart import DueRestart
from keeper_injector_common.plan.delivery import RESTART_ALL_CODE, RestartAll
from keeper_injector_common.plan.paths import RESTART_NAME, STATE_PATH
from local_keeper import Fault

AT_ONCE = RestartAll(spread=0.01, min_interval=0.01)
DUE = f"{STATE_PATH}/{RESTART_NAME}"


@pytest.fixture(name="started")
def _started(pod: AgentPod) -> AgentPod:
    pod.wants({"password": "database-credentials[password]"}, restart_all=AT_ONCE)
    assert pod.run("init").returncode == 0
    return pod


def change(pod: AgentPod, value: str) -> None:
    """Change the secret and refresh, as the sidecar does."""
    pod.keeper.set_field("database-credentials", "password", value)
    result = pod.run("once")
    assert result.returncode == 0, result.stderr


def finish(process: subprocess.Popen[str]) -> tuple[int, list[str]]:
    """Wait for the sidecar's own end; return its exit code, and what it logged."""
    log = process.communicate(timeout=20)[1]
    return process.returncode, [event["event"] for event in events(log)]


def test_the_first_start_schedules_nothing(started: AgentPod) -> None:
    """The first content does not count as a change, even if the state is lost."""
    assert not started.at(DUE).exists()
    for path in started.at(STATE_PATH).iterdir():
        path.unlink()
    assert started.run("init").returncode == 0
    assert started.run("once").returncode == 0
    assert not started.at(DUE).exists()


def test_the_sidecar_exits_once_after_a_change(started: AgentPod) -> None:
    """The kubelet starts all containers again: init finds all files and the state, and the next sidecar stays."""
    change(started, "new")
    process = started.start("sidecar")
    code, logged = finish(process)
    assert code == RESTART_ALL_CODE
    assert logged[-1] == "restart_all.started"
    assert not started.at(DUE).exists()
    assert started.run("init").returncode == 0
    process = started.start("sidecar")
    try:
        wait_for(lambda: started.run("ready").returncode == 0)
        assert started.run("refresh").returncode == 0
        assert process.poll() is None
    finally:
        process.terminate()
        code, logged = finish(process)
    assert (code, "restart_all.started" in logged) == (0, False)
    assert started.file("password") == "new"


def test_a_running_sidecar_exits_after_the_refresh(started: AgentPod) -> None:
    """It finds the change itself, and is not refreshing when it exits."""
    process = started.start("sidecar")
    wait_for(lambda: started.run("ready").returncode == 0)
    started.keeper.set_field("database-credentials", "password", "newer")
    started.run("refresh")
    code, logged = finish(process)
    assert code == RESTART_ALL_CODE
    assert logged.index("restart_all.scheduled") < logged.index("restart_all.started")
    assert started.file("password") == "newer"


def assert_sidecar_stays(pod: AgentPod) -> None:
    """Assert that a sidecar refreshes, and exits only after SIGTERM."""
    process = pod.start("sidecar")
    try:
        wait_for(lambda: pod.run("ready").returncode == 0)
        assert pod.run("refresh").returncode == 0
        assert process.poll() is None
    finally:
        process.terminate()
        assert finish(process)[0] == 0


def test_a_sidecar_alone_that_restarts_does_not_exit_again(started: AgentPod) -> None:
    """On a node that ignores the rule only the sidecar restarts: it must not do so forever."""
    change(started, "new")
    assert finish(started.start("sidecar"))[0] == RESTART_ALL_CODE
    assert_sidecar_stays(started)


def test_init_forgets_a_restart_that_has_become_unnecessary(started: AgentPod) -> None:
    """If all containers start again for another reason, such as that of its sandbox, all containers have what has changed."""
    change(started, "new")
    assert started.at(DUE).exists()
    started.keeper.fault(Fault.http(503), "get_secret", None)
    assert started.run("init").returncode == 0
    assert not started.at(DUE).exists()


def test_a_restart_is_not_before_the_least_time(pod: AgentPod) -> None:
    """The least time counts from the start of all containers, which the state remembers."""
    pod.wants({"password": "database-credentials[password]"}, restart_all=RestartAll(0.01, 3600.0))
    assert pod.run("init").returncode == 0
    change(pod, "new")
    started = load_state(pod.at(STATE_PATH)).started
    due = float(pod.at(DUE).read_text(encoding="ascii"))
    assert due == pytest.approx(started + 3600, abs=1)
    assert_sidecar_stays(pod)
    change(pod, "newer")
    assert float(pod.at(DUE).read_text(encoding="ascii")) == due  # a second change does not postpone it


@given(
    spread=st.floats(0, 86_400),
    least=st.floats(0, 86_400),
    ran=st.floats(-1000, 100_000),
    key=st.binary(min_size=32, max_size=32),
)
def test_the_time_is_within_its_limits(
    tmp_path_factory: pytest.TempPathFactory, spread: float, least: float, ran: float, key: bytes
) -> None:
    """It is at most the spread or the rest of the least time away, whatever the state says of the start."""
    directory = tmp_path_factory.mktemp("state")
    state = State()
    state.key = key
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    state.started = now - ran
    schedule_restart_all(RestartAll(spread, least), ["/keeper/volumes/0"], state, directory)
    wait = float((directory / RESTART_NAME).read_text(encoding="ascii")) - now
    assert -2 <= wait <= max(spread, least) + 60
    if ran >= 0:
        assert wait >= least - ran - 2
    schedule_restart_all(None, ["/keeper/volumes/0"], state, directory)
    note_start(RestartAll(spread, least), state, directory)
    assert not (directory / RESTART_NAME).exists()
    schedule_restart_all(RestartAll(spread, least), [], state, directory)
    assert not (directory / RESTART_NAME).exists()


def test_a_state_that_is_not_writable(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and nothing restarts."""
    schedule_restart_all(AT_ONCE, ["/keeper/volumes/0"], State(), tmp_path / "missing")
    (tmp_path / "file").write_text("", encoding="utf-8")
    note_start(AT_ONCE, State(), tmp_path / "file")
    assert [record.message for record in caplog.records] == ["restart_all.failed"] * 2


def test_a_restart_that_cannot_be_recorded_does_not_happen(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The next supervisor would find the file again, and restart the pod forever."""
    due = DueRestart(str(tmp_path))
    assert due.wait() is None
    assert not due.take()
    assert [event["event"] for event in events(capfd.readouterr().err)] == ["restart_all.skipped"]
    (tmp_path / RESTART_NAME).write_text("1\n", encoding="ascii")
    assert due.wait() is None
    assert DueRestart(str(tmp_path)).wait() == 0


@pytest.mark.parametrize("content", ["", "soon", "nan", "-5\n", "9" * 40])
def test_a_damaged_file_does_not_stop_the_supervisor(tmp_path: Path, content: str) -> None:
    """Only the agent writes the file; whatever it contains, the wait is nothing, or a number of seconds."""
    (tmp_path / RESTART_NAME).write_text(content, encoding="ascii")
    wait = DueRestart(str(tmp_path)).wait()
    assert wait is None or wait >= 0
