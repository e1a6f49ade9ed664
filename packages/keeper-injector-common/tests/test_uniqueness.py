"""Dictionaries in which no entry silently replaces another one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_injector_common.uniqueness import Clash, Named, divide, unique

ENTRIES = st.lists(st.builds(Named, st.sampled_from("ab"), st.integers(0, 3), st.sampled_from("xyzw")), max_size=8)


@given(ENTRIES)
def test_every_name_is_free_or_a_clash_of_all_its_origins(entries: list[Named[int]]) -> None:
    """No name is lost, none has a value and a clash, and a clash names every origin."""
    free, clashes = divide(entries)
    assert free.keys().isdisjoint(clash.name for clash in clashes)
    assert {*free, *(clash.name for clash in clashes)} == {entry.name for entry in entries}
    for clash in clashes:
        assert set(clash.origins) == {entry.origin for entry in entries if entry.name == clash.name}
    for name, entry in free.items():
        assert {other.origin for other in entries if other.name == name} == {entry.origin}


def test_the_first_clash_is_raised() -> None:
    """The error gets the name and its origins; without a clash, the values are returned in their order."""
    with pytest.raises(ValueError, match=r"^a from x and y$"):
        unique(
            [Named("a", 1, "x"), Named("b", 1, "x"), Named("a", 2, "y")],
            lambda clash: ValueError(f"{clash.name} from {clash}"),
        )
    assert list(unique([Named("b", 1, "x"), Named("a", 2, "x"), Named("b", 1, "x")], lambda _: ValueError())) == [
        "b",
        "a",
    ]


def test_a_message_names_three_origins_at_most() -> None:
    """A clash of many records stays readable."""
    assert str(Clash("a", ("x", "y"))) == "x and y"
    assert str(Clash("a", ("x", "y", "z"))) == "x, y and z"
    assert str(Clash("a", ("x", "y", "z", "w", "v"))) == "x, y, z and 2 more"


def test_a_value_is_never_shown() -> None:
    """Entries may hold secrets."""
    assert "s3cret" not in repr(Named("a", "s3cret", "x"))
