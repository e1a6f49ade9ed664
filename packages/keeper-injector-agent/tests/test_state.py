"""The state: what survives a restart."""

from __future__ import annotations

import stat
import time
from pathlib import Path

from agent_pods import AgentPod

from keeper_injector_agent.freshness import TargetResult
from keeper_injector_agent.state import State, load_state, save_state
from keeper_injector_common.plan.paths import STATE_NAME


def test_an_invalid_state_is_replaced(pod: AgentPod) -> None:
    """The agent logs an invalid state file and continues with a new one."""
    pod.put("/keeper/state/state.json", "{")
    pod.wants({"x": "api-keys[login]"})
    result = pod.run("init")
    assert result.returncode == 0
    assert "state.invalid" in result.stderr


def test_the_state_survives_a_restart(tmp_path: Path) -> None:
    """A saved state is loaded with all its fields; only its owner can read the file."""
    state = State()
    for number, (name, value) in enumerate(state.as_dict().items(), 1):
        if isinstance(value, float | int | str):
            setattr(state, name, type(value)(number))
    state.inputs, state.origins, state.receipt = {"a": "b"}, {"c": "d"}, {"run": "e", "sets": {"f": "g"}}
    state.identities, state.relay = {"h": "i"}, {"index": 1}
    state.warnings = ["a folder is incomplete"]
    state.variables = {"/env/PASSWORD": "db[password]"}
    state.references = {"db": {"uid": "u1", "previous": "u0", "changed": 1.5, "exact": ""}}
    state.count("refreshes_ok")
    state.freshness.update({"/app": TargetResult({"/app/x": "gone"}, written=True, present=True)})
    state.throttle(time.time() + 60)
    save_state(tmp_path, state)
    assert load_state(tmp_path).as_dict() == state.as_dict()
    assert all(value != getattr(State(), name) for name, value in state.as_dict().items())
    assert stat.S_IMODE((tmp_path / STATE_NAME).stat().st_mode) == 0o600


def test_digests_depend_on_key_and_boundaries() -> None:
    """Two pods have different digests of equal secrets, and parts cannot be confused with each other."""
    state = State()
    assert state.digest(b"ab", b"c") == state.digest(b"ab", b"c")
    assert state.digest(b"ab", b"c") != state.digest(b"a", b"bc")
    assert state.digest(b"ab", b"c") != State().digest(b"ab", b"c")


def test_a_throttle_window_in_the_future_is_ignored() -> None:
    """If the clock was set back to before the window began, the window is meaningless."""
    state = State()
    state.throttled_since, state.throttled_until = 1000.0, 1060.0
    assert (state.throttled_for(1010.0), state.throttled_for(1070.0), state.throttled_for(500.0)) == (50.0, 0.0, 0.0)
