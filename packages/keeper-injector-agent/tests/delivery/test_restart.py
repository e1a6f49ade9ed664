"""Restarts after a change: what the agent writes for the liveness probes, and when."""

from __future__ import annotations

import stat
import time
from pathlib import Path

import attrs
import pytest
from agent_pods import VOLUME, AgentPod, events

from keeper_injector_agent.delivery.restart import schedule_restarts
from keeper_injector_agent.state import State
from keeper_injector_common.plan.delivery import Restart, RestartedContainer

PROBES = "/keeper/volumes/keeper-restart"
RESTART = Restart(
    PROBES,
    300.0,
    60.0,
    (RestartedContainer("app", (VOLUME,)), RestartedContainer("other", ("/keeper/volumes/1",))),
)


@pytest.fixture(name="restarted")
def _restarted(pod: AgentPod) -> AgentPod:
    pod.at(PROBES).mkdir()
    pod.wants({"password": "database-credentials[password]"}, restart=RESTART)
    assert pod.run("init").returncode == 0
    return pod


def test_the_first_start_schedules_nothing(restarted: AgentPod) -> None:
    """The program is there before any probe runs, and every user of the pod may execute it."""
    (program,) = restarted.at(PROBES).iterdir()
    assert program.name == "keeper-exec"
    assert stat.S_IMODE(program.stat().st_mode) == 0o555


def test_a_change_schedules_a_restart_of_those_who_receive_it(restarted: AgentPod) -> None:
    restarted.keeper.set_field("database-credentials", "password", "new")
    result = restarted.run("once")
    assert result.returncode == 0, result.stderr
    due, life = map(int, restarted.at(f"{PROBES}/app").read_text(encoding="ascii").split())
    assert 0 <= due - time.clock_gettime(time.CLOCK_BOOTTIME) <= 300
    assert life == 60
    assert not restarted.at(f"{PROBES}/other").exists()
    (event,) = [event for event in events(result.stderr) if event["event"] == "restart.scheduled"]
    assert event["container"] == "app"
    assert restarted.run("once").returncode == 0
    assert int(restarted.at(f"{PROBES}/app").read_text(encoding="ascii").split()[0]) == due


def test_a_second_change_does_not_postpone_the_restart(tmp_path: Path) -> None:
    state, file = State(), tmp_path / "app"
    restart = attrs.evolve(RESTART, path="/")
    soon = f"{time.clock_gettime(time.CLOCK_BOOTTIME) + 100:.0f} 60\n"
    file.write_text(soon, encoding="ascii")
    schedule_restarts(restart, [VOLUME], state, tmp_path)
    assert file.read_text(encoding="ascii") == soon
    file.write_text("1 60\n", encoding="ascii")  # this restart has been
    schedule_restarts(restart, [VOLUME], state, tmp_path)
    assert file.read_bytes() != b"1 60\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o444


def test_pods_spread_out(tmp_path: Path) -> None:
    """Each pod has its own part of the spread, and always the same."""
    waits = []
    for number in range(200):
        place = tmp_path / str(number)
        place.mkdir()
        state = State()
        state.key = number.to_bytes(32, "big")
        schedule_restarts(attrs.evolve(RESTART, path="/"), [VOLUME], state, place)
        waits.append(int((place / "app").read_bytes().split()[0]) - time.clock_gettime(time.CLOCK_BOOTTIME))
    for third in range(3):
        assert sum(third * 100 - 2 <= wait <= third * 100 + 102 for wait in waits) > 40


def test_a_volume_that_is_not_writable(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and the refresh goes on."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    schedule_restarts(attrs.evolve(RESTART, path="/file"), [VOLUME], State(), tmp_path)
    assert [record.message for record in caplog.records] == ["restart.failed"]
