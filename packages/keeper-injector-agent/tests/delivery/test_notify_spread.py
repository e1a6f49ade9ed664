"""Notifications that are spread over time: once, at a time that each pod has for itself."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from agent_pods import AgentPod, events, wait_for
from servers import serving
from sidecars import sidecar

from keeper_injector_agent.delivery.notify import notify_of_change
from keeper_injector_agent.state import State, load_state
from keeper_injector_common.plan.delivery import Notify
from keeper_injector_common.plan.paths import STATE_PATH

PASSWORD = {"password": "database-credentials[password]"}


@pytest.fixture(name="application")
def _application() -> Iterator[tuple[str, list[str]]]:
    """A URL inside the pod, and the requests that it got."""
    got: list[str] = []

    def respond(method: str, *_: object) -> tuple[int, dict[str, str], object]:
        got.append(method)
        return 200, {}, ""

    with serving(respond) as port:
        yield f"http://127.0.0.1:{port}/reload", got


def test_a_notification_waits_for_its_time(application: tuple[str, list[str]]) -> None:
    """It is scheduled once, kept while other changes come, and sent when its time has come, even if nothing changes then."""
    url, got = application
    target, state = Notify(url=url, spread=600.0), State()
    notify_of_change(target, state, changed=True)
    due = state.notify_at
    assert 0 < due - time.time() <= 600
    notify_of_change(target, state, changed=True)
    assert (state.notify_at, got) == (due, [])
    state.notify_at = time.time() - 1
    notify_of_change(target, state, changed=False)
    assert (state.notify_at, got) == (0.0, ["POST"])
    notify_of_change(target, state, changed=False)
    assert got == ["POST"]


def test_without_a_spread_it_is_sent_at_once(application: tuple[str, list[str]]) -> None:
    url, got = application
    notify_of_change(Notify(url=url), State(), changed=True)
    assert got == ["POST"]


def test_a_clock_that_was_set_back(application: tuple[str, list[str]]) -> None:
    """A time that is further away than the spread cannot be right."""
    url, got = application
    state = State()
    state.notify_at = time.time() + 3600
    notify_of_change(Notify(url=url, spread=10.0), state, changed=False)
    assert got == ["POST"]


def test_the_sidecar_wakes_up_for_it(pod: AgentPod, application: tuple[str, list[str]]) -> None:
    """Long before its next refresh, although nothing changes any more."""
    url, got = application
    pod.wants(PASSWORD, notify=Notify(url=url, spread=5.0), refresh_interval=3600.0)
    assert pod.run("init").returncode == 0
    pod.keeper.set_field("database-credentials", "password", "new")
    with sidecar(pod) as process:
        assert process.poll() is None
        refreshed = pod.run("refresh")
        assert refreshed.returncode == 0, refreshed.stderr
        assert pod.file("password") == "new"
        wait_for(lambda: got == ["POST"], 20.0)
        wait_for(lambda: load_state(pod.at(STATE_PATH)).notify_at == 0.0)


def test_it_is_logged(pod: AgentPod, application: tuple[str, list[str]]) -> None:
    pod.wants(PASSWORD, notify=Notify(url=application[0], spread=600.0))
    assert pod.run("init").returncode == 0
    pod.keeper.set_field("database-credentials", "password", "new")
    (event,) = [event for event in events(pod.run("once").stderr) if event["event"] == "notify.scheduled"]
    assert 0 <= event["wait_seconds"] <= 600
