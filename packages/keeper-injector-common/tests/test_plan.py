"""The plan's JSON form: what webhook and agent of different versions share."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import PLANS

from keeper_injector_common.errors import PlanError
from keeper_injector_common.plan.model import Plan
from keeper_injector_common.plan.reader import from_json, loads
from keeper_injector_common.plan.writer import dumps

GOLDEN = Path(__file__).parent / "data/plans"


@given(PLANS)
def test_what_is_written_is_read_back(plan: Plan) -> None:
    """``loads(dumps(plan)) == plan``."""
    assert loads(dumps(plan)) == plan


@pytest.mark.parametrize("path", sorted(GOLDEN.rglob("*.json")), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_released_plans_stay_readable(path: Path) -> None:
    """Every plan that a released webhook could have written is read, and means the same."""
    plan = loads(path.read_text(encoding="utf-8"))
    assert json.loads(dumps(plan)) == json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no json", "not JSON"),
        ("[]", "no JSON object"),
        ("{}", "version None is unknown here"),
        ('{"version": 2}', "use an agent image as new as the webhook"),
        ('{"version": 1, "foo": 1}', "foo: unknown key"),
        ('{"version": 1}', "state: missing"),
    ],
)
def test_what_is_no_plan_is_refused(text: str, message: str) -> None:
    """The error says what to do about it."""
    with pytest.raises(PlanError, match=message):
        loads(text)


def test_every_problem_of_a_plan_is_reported() -> None:
    """Paths lead to each problem."""
    content = {
        "version": 1,
        "directories": [{"path": "x", "target": "/t", "files": [{"name": "../a", "mode": "0777"}]}],
    }
    with pytest.raises(PlanError) as caught:
        from_json(content)
    text = str(caught.value)
    assert "directories[0].path: 'x' is not an absolute path" in text
    assert "directories[0].files[0].name" in text
    assert "directories[0].files[0].mode: '0777' lets every user write" in text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)


@given(st.dictionaries(st.sampled_from(["state", "directories", "credentials", "notify", "environments"]), JSON))
def test_any_json_is_read_or_refused(content: dict[str, object]) -> None:
    """Nothing raises anything but PlanError."""
    with pytest.raises(PlanError):
        from_json({**content, "version": 1, "unknown": 1})
