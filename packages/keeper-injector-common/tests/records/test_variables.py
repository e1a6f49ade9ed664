"""Environment variables: each has the value of its own item, old or new, or a problem; never one of another item."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from keeper_injector_common.errors import FormatError, RecordGoneError
from keeper_injector_common.plan.model import Environment, RecordVariablesItem, VariableItem
from keeper_injector_common.records.formats import ENVIRONMENT_READERS, ENVIRONMENT_WRITERS
from keeper_injector_common.records.variables import Variable, VariableSet, collect_variables
from keeper_injector_common.references import FieldValue, RecordName, Reference, WholeRecord
from keeper_injector_common.uniqueness import Named

RECORDS = ("r0", "r1", "r2")
NAMES = ("A", "B", "C")
Content = Mapping[str, tuple[str, ...] | None]
"""Names of the variables of each record; None for one that fails."""


def collect(
    environment: Environment,
    content: Content,
    now: str,
    previous: Mapping[str, Variable],
    *,
    remove_gone: bool = False,
) -> VariableSet:
    """Return the variables, whose values say where they came from, and when."""

    def of_record(item: RecordVariablesItem) -> Iterator[Named[str]]:
        title = item.source.record.title
        names = content[title]
        if names is None:
            raise RecordGoneError("it is gone")
        return (Named(name, f"{title}.{name}@{now}", title) for name in names)

    def value_of(source: Reference) -> str:
        if content[source.record.title] is None:
            raise RecordGoneError("it is gone")
        return f"{source}@{now}"

    return collect_variables(
        environment,
        of_record=of_record,
        value_of=value_of,
        check=lambda _: None,
        warn=lambda _: None,
        previous=previous,
        remove_gone=remove_gone,
    )


CONTENTS = st.fixed_dictionaries(
    {title: st.none() | st.lists(st.sampled_from(NAMES), unique=True).map(tuple) for title in RECORDS}
)
ENVIRONMENTS = st.builds(
    lambda records, named: Environment(
        "/env",
        "exec",
        0o400,
        tuple(VariableItem(name, FieldValue(RecordName((title,)), "f")) for name, title in named.items()),
        tuple(RecordVariablesItem(WholeRecord(RecordName((title,)))) for title in records),
    ),
    st.lists(st.sampled_from(RECORDS), unique=True),
    st.dictionaries(st.sampled_from(NAMES), st.sampled_from(RECORDS)),
)


@given(ENVIRONMENTS, CONTENTS, st.lists(CONTENTS, min_size=1, max_size=4))
def test_a_variable_is_that_of_its_item_or_a_problem(
    environment: Environment, first: Content, later: list[Content]
) -> None:
    """Over several refreshes, a variable moves to another item only if its own item is fine and does not have it any more."""
    previous = collect(environment, first, "0", {}).variables
    for now, content in enumerate(later, 1):
        found = collect(environment, content, str(now), previous)
        explicit = {item.name: str(item.source) for item in environment.variables}
        failing = {where for where, _ in found.problems}
        for name, variable in found.variables.items():
            owner = variable.item.removeprefix("* of ")
            assert variable.value.startswith(owner), "the value is that of the item"
            assert explicit.get(name) in {None, variable.item}, "an explicit variable has no other value"
            if not variable.value.endswith(f"@{now}"):
                assert variable == previous[name]
                assert failing & {f"variable {name}", f"variables of {owner}"}, "an old value is reported"
            if name in previous and previous[name].item != variable.item:
                assert f"variables of {previous[name].item.removeprefix('* of ')}" not in failing
        for name in previous.keys() - found.variables.keys():
            before = previous[name].item.removeprefix("* of ")
            assert f"variable {name}" in failing or f"variables of {before}" not in failing, "none is lost in silence"
        assert bool(found.problems) or not found.missing
        previous = found.variables


@given(
    st.sampled_from(sorted(ENVIRONMENT_WRITERS)),
    st.dictionaries(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,9}", fullmatch=True), st.text()),
)
def test_what_is_written_can_be_read(style: str, variables: dict[str, str]) -> None:
    """The previous values come from the file itself, which has any characters that can be written."""
    try:
        content = ENVIRONMENT_WRITERS[style](variables)
    except FormatError:
        return
    assert ENVIRONMENT_READERS[style](content) == variables


def test_all_problems_are_found() -> None:
    """Every item that fails is named, those that cannot be written as well, and the rest is there."""
    environment = Environment(
        "/env",
        "exec",
        0o400,
        tuple(VariableItem(name, FieldValue(RecordName(("r0",)), "f")) for name in NAMES),
        tuple(RecordVariablesItem(WholeRecord(RecordName((title,)))) for title in ("r1", "r2")),
    )
    found = collect(environment, {"r0": None, "r1": None, "r2": ("D",)}, "1", {})
    assert [where for where, _ in found.problems] == [
        "variables of r1",
        *(f"variable {name}" for name in NAMES),
    ]
    assert found.variables.keys() == {"D"}
    assert found.missing


@example(
    Environment(
        "/env",
        "exec",
        0o400,
        (),
        tuple(RecordVariablesItem(WholeRecord(RecordName((title,)))) for title in ("r1", "r2")),
    ),
    {"r0": None, "r1": None, "r2": ("A",)},
    {"r0": None, "r1": ("A",), "r2": ("A",)},
)
@given(ENVIRONMENTS, CONTENTS, CONTENTS)
def test_nothing_of_a_gone_record_stays_if_it_is_removed(
    environment: Environment, first: Content, then: Content
) -> None:
    """With ``on-removal: remove`` an item whose record is gone has no values; another that fails keeps what it had."""
    previous = collect(environment, first, "0", {}).variables
    kept = collect(environment, then, "1", previous)
    found = collect(environment, then, "1", previous, remove_gone=True)
    for variable in found.variables.values():
        record = variable.item.removeprefix("* of ").partition("[")[0]
        assert variable.value.endswith("@1") or then[record] is not None
    for name, variable in kept.variables.items():
        if variable.value.endswith("@1"):
            assert found.variables[name] == variable, "what is up to date does not depend on it"
    old = {name for name, variable in kept.variables.items() if variable.value.endswith("@0")}
    assert old <= {*found.variables} or (found.gone and found.missing)


@pytest.mark.parametrize("name", ["LD_PRELOAD"])
def test_a_variable_that_cannot_be_written_is_its_own_problem(name: str) -> None:
    """The writer of the style decides, for each variable by itself."""
    environment = Environment("/env", "exec", 0o400, (), (RecordVariablesItem(WholeRecord(RecordName(("r0",)))),))
    found = collect_variables(
        environment,
        of_record=lambda _: [Named(name, "x", "r0"), Named("GOOD", "x", "r0")],
        value_of=str,
        check=ENVIRONMENT_WRITERS["exec"],
        warn=lambda _: None,
        previous={},
    )
    assert ([where for where, _ in found.problems], [*found.variables]) == ([f"variable {name}"], ["GOOD"])
