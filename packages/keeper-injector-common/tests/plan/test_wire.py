"""The plan's JSON form, in which the webhook and an agent of another version understand each other."""

import contextlib
import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import PLANS

from keeper_injector_common import plan as plan_package
from keeper_injector_common.errors import PlanError
from keeper_injector_common.plan.model import Plan
from keeper_injector_common.plan.wire import dumps, from_json, json_schema, loads, to_json

GOLDEN = Path(__file__).parents[1] / "data/plans"
SMALLEST = Plan(refresh_interval=300.0, fail_on_error=True, volume_size=2**24)
VALIDATOR = jsonschema.Draft202012Validator(json_schema())


@given(PLANS)
def test_a_plan_survives_being_written_and_read(plan: Plan) -> None:
    """``loads(dumps(plan)) == plan``."""
    assert loads(dumps(plan)) == plan


@pytest.mark.parametrize("path", sorted(GOLDEN.rglob("*.json")), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_released_plans_stay_readable(path: Path) -> None:
    """A plan that a released webhook wrote is read, and written back unchanged."""
    plan = loads(path.read_text(encoding="utf-8"))
    assert json.loads(dumps(plan)) == json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no json", "not JSON"),
        ("", "the pod has no annotation keeper.security/plan; copy pods with kubectl debug --keep-annotations"),
        ("[]", "not a JSON object"),
        ("{}", "version None is unknown"),
        ('{"version": true}', "version True is unknown"),
        ('{"version": 2}', "use an agent image as new as the webhook"),
        ('{"version": 0}', "inject the pod again"),
        ('{"version": 1, "foo": 1}', "foo: unknown key"),
        ('{"version": 1}', "state: missing"),
    ],
)
def test_text_that_is_not_a_plan_is_rejected(text: str, message: str) -> None:
    """The error says what to do."""
    with pytest.raises(PlanError, match=message):
        loads(text)


def test_every_problem_of_a_plan_is_reported() -> None:
    """The error has the path to each problem."""
    content = {
        "version": 1,
        "directories": [{"path": "x", "target": "/t", "files": [{"name": "../a", "mode": "0777"}]}],
        "metricsPort": 80,
        "refreshInterval": "300",
    }
    with pytest.raises(PlanError) as caught:
        from_json(content)
    text = str(caught.value)
    assert "plan: directories[0].path: 'x' is not an absolute path" in text
    assert "plan: directories[0].files[0].name" in text
    assert "plan: directories[0].files[0].mode: '0777' lets every user write" in text
    assert "plan: metricsPort: 80 is out of range; write a number from 1024 to 65535" in text
    assert "plan: refreshInterval: text found; write a number" in text


@pytest.mark.parametrize(
    ("credentials", "message"),
    [
        ("secret", "credentials: text found; write an object"),
        ({}, "credentials.method: missing"),
        ({"method": []}, "credentials.method: a list found; write text"),
        ({"method": "vault"}, "credentials.method: 'vault' is unknown; write secret, "),
        ({"method": "azure-key-vault", "secret": "s"}, "credentials.place: missing"),
        ({"method": "gcp-secret-manager", "secret": "s", "place": "p"}, "credentials.place: unknown key"),
    ],
)
def test_credentials_have_the_keys_of_their_method(credentials: object, message: str) -> None:
    """Each method has its own keys."""
    with pytest.raises(PlanError, match=message):
        from_json({**to_json(SMALLEST), "credentials": credentials})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)


@given(st.dictionaries(st.sampled_from(["state", "directories", "credentials", "notify", "environments"]), JSON))
def test_any_json_is_read_or_rejected(content: dict[str, object]) -> None:
    """Reading raises no exception but PlanError."""
    with pytest.raises(PlanError):
        from_json({**content, "version": 1, "unknown": 1})


Position = tuple[Any, Any]
"""An object or array, and a key or index in it."""


def _positions(content: Any) -> Iterator[Position]:
    for key in list(content) if isinstance(content, dict) else range(len(content)):
        yield content, key
        if isinstance(content[key], dict | list):
            yield from _positions(content[key])


@st.composite
def _plans_with_a_position(draw: st.DrawFn) -> tuple[dict[str, Any], Position]:
    content = json.loads(dumps(draw(PLANS)))
    positions = list(_positions(content))
    return content, positions[draw(st.integers(0, len(positions) - 1))]


@given(_plans_with_a_position(), JSON)
def test_a_plan_with_any_part_replaced_is_read_or_rejected(plan: tuple[dict[str, Any], Position], part: object) -> None:
    """Reading raises no exception but PlanError, and what it accepts can be written."""
    content, (parent, key) = plan
    parent[key] = part
    with contextlib.suppress(PlanError):
        dumps(from_json(content))


@given(PLANS)
def test_the_schema_accepts_every_plan(plan: Plan) -> None:
    """What the webhook writes is valid by the schema."""
    VALIDATOR.validate(json.loads(dumps(plan)))


def _of_another_type(part: object) -> object:
    return 5 if isinstance(part, str | dict | list) else "yes"


@given(_plans_with_a_position(), st.sampled_from(["removed", "of another type", "null", "with an unknown key"]))
def test_the_schema_and_the_agent_reject_the_same_structures(
    plan: tuple[dict[str, Any], Position], change: str
) -> None:
    """A key that is missing, unknown or of the wrong type is wrong for both."""
    content, (parent, key) = plan
    before = copy.deepcopy(content)
    match change:
        case "removed":
            del parent[key]
        case "of another type":
            parent[key] = _of_another_type(parent[key])
        case "null":
            parent[key] = None
        case _:
            inner = parent[key] if isinstance(parent[key], dict) else content
            inner["unknownKey"] = 5
    try:
        from_json(content)
    except PlanError:
        assert not VALIDATOR.is_valid(content), (before, content)
    else:
        assert VALIDATOR.is_valid(content), (before, content)


def test_the_package_exports_its_public_names() -> None:
    """``keeper_injector_common.plan`` has the plan and the functions that read and write it."""
    assert (plan_package.Plan, plan_package.loads, plan_package.dumps) == (Plan, loads, dumps)
    with pytest.raises(AttributeError):
        plan_package.VERSION  # type: ignore[attr-defined] # noqa: B018 - not public
