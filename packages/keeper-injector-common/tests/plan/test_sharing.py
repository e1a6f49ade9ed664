"""A large plan lists parts that occur several times once, and means the same."""

import json
from typing import Any

import attrs
import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import PLANS

from keeper_injector_common.errors import PlanError
from keeper_injector_common.plan.delivery import Templated
from keeper_injector_common.plan.model import Directory, FileItem, Plan
from keeper_injector_common.plan.sharing import KEY, SHARED_ABOVE, restore_parts, shared_items, write_shared
from keeper_injector_common.plan.wire import dumps, from_json, json_schema, loads, to_json
from keeper_injector_common.references import RecordName, WholeRecord

VALIDATOR = jsonschema.Draft202012Validator(json_schema())


@st.composite
def _plans_with_repetition(draw: st.DrawFn) -> Plan:
    """Return a plan whose volumes have items of each other."""
    plan = draw(PLANS)
    return attrs.evolve(
        plan,
        directories=(*plan.directories, *plan.directories[: draw(st.integers(0, 3))]),
        environments=(*plan.environments, *plan.environments[: draw(st.integers(0, 2))]),
    )


@given(_plans_with_repetition())
def test_a_plan_with_shared_parts_means_the_same(plan: Plan) -> None:
    """Sharing is undone exactly, the schema accepts the result, and no item occurs in it twice."""
    content = to_json(plan)
    shared = _shared(plan)
    assert restore_parts(shared) == content
    assert from_json(shared) == plan
    VALIDATOR.validate(json.loads(json.dumps(shared)))
    items = [item for item in _items(shared) if item.keys() != {KEY}]
    assert len({json.dumps(item) for item in items}) == len(items)


def _shared(plan: Plan) -> dict[str, Any]:
    """Return the JSON of *plan* with shared parts, however small it is."""
    return write_shared(plan, shared_items(plan, above=0), to_json)


def _items(content: dict[str, Any]) -> list[dict[str, Any]]:
    holders = [*content.get("directories", ()), *content.get("environments", ())]
    lists = [holder.get(name, ()) for holder in holders for name in ("files", "folders", "variables", "records")]
    return [*content.get(KEY, ()), *(item for items in lists for item in items)]


def _volumes(count: int, characters: int) -> Plan:
    item = FileItem("a", (WholeRecord(RecordName(("r",))),), Templated("t" * characters), 0o400)
    directories = tuple(Directory(f"/v/{number}", "/app", (item,)) for number in range(count))
    return Plan(refresh_interval=300.0, fail_on_error=True, volume_size=2**24, directories=directories)


def test_a_large_plan_has_a_repeated_part_once() -> None:
    """The text of a plan for 100 volumes with the same template grows by a position for each volume, not by the template."""
    plan = _volumes(100, 4000)
    text = dumps(plan)
    assert len(text) < 4000 + 100 * 80 < len(json.dumps(to_json(plan))) / 20
    assert loads(text) == plan


def test_a_small_plan_is_written_out() -> None:
    """People read the plans of ordinary pods, so those contain no positions."""
    plan = _volumes(2, 1000)
    assert len(dumps(plan)) <= SHARED_ABOVE
    assert json.loads(dumps(plan)) == to_json(plan)


SHARED = _shared(_volumes(2, 10))
POSITION: dict[str, Any] = {KEY: 0}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({KEY: {}}, r"plan: shared: a mapping found; write a list"),
        ({KEY: []}, r"plan: directories\[0\]\.files\[0\]\.shared: 0 is not a position in shared"),
        ({KEY: [5]}, r"plan: directories\[0\]\.files\[0\]: a number found"),
        ({KEY: [POSITION]}, r"plan: directories\[0\]\.files\[0\]\.shared: unknown key"),
        ({KEY: [{"name": "a"}]}, r"plan: directories\[1\]\.files\[0\]\.mode: missing"),
    ],
)
def test_invalid_positions_are_rejected(changed: dict[str, Any], message: str) -> None:
    """The error has the path of the item."""
    with pytest.raises(PlanError, match=message):
        from_json({**SHARED, **changed})


@pytest.mark.parametrize("position", [-1, 1, True, 0.0, "0", None, [0]])
def test_a_position_is_a_number_of_the_list(position: object) -> None:
    """Anything else is a problem, and no other item takes its place."""
    content = json.loads(json.dumps(SHARED))
    content["directories"][1]["files"] = [{KEY: position}]
    with pytest.raises(PlanError, match=r"directories\[1\]\.files\[0\]\.shared: .* is not a position"):
        from_json(content)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([KEY, "files", "name"]), inner),
)


@given(JSON, JSON, JSON)
def test_any_json_is_read_or_rejected(directories: object, environments: object, shared: object) -> None:
    """Reading raises no exception but PlanError."""
    content = {"version": 1, "directories": directories, "environments": environments, KEY: shared}
    with pytest.raises(PlanError):
        from_json(content)
