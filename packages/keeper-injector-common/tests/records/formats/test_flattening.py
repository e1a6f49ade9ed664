"""Structured values become names and text, and no value is lost."""

from __future__ import annotations

from typing import Any

import pytest
from format_samples import RECORDS
from hypothesis import given

from keeper_injector_common.errors import FormatError
from keeper_injector_common.records.formats import RecordContent, flatten
from keeper_injector_common.records.formats.flattening import scalar_text


def leaves(value: Any) -> list[Any]:
    """Return the plain values inside *value*; an empty list or object counts as null."""
    match value:
        case dict() if value:
            return [leaf for item in value.values() for leaf in leaves(item)]
        case list() if value:
            return [leaf for item in value for leaf in leaves(item)]
        case dict() | list():
            return [None]
        case _:
            return [value]


@given(RECORDS)
def test_every_value_is_kept_in_order_or_the_record_is_rejected(fields: dict[str, Any]) -> None:
    """Every plain value appears once, in the order of the record, unless two values would get one name."""
    try:
        flat = flatten(RecordContent("db", fields))
    except FormatError as error:
        assert "two values are named" in str(error)  # noqa: PT017 - most records are accepted
        return
    assert list(flat.values()) == [scalar_text(leaf) for leaf in leaves(fields)] if fields else flat == {}


def test_parts_are_named_by_keys_and_indexes() -> None:
    """A part of a structured value is named by its keys and by its index, which starts at 0."""
    fields = {"address": {"city": "Bern"}, "phone": ["555", {"ext": "1"}], "tags": []}
    assert flatten(RecordContent("db", fields)) == {
        "address_city": "Bern",
        "phone_0": "555",
        "phone_1_ext": "1",
        "tags": "",
    }


@pytest.mark.parametrize(
    ("value", "text"), [("a", "a"), (None, ""), (True, "true"), (1, "1"), (1.5, "1.5"), (1e16, "1e+16")]
)
def test_plain_value_is_written_as_in_json(value: Any, text: str) -> None:
    """Null is empty text; booleans and numbers look as in JSON."""
    assert scalar_text(value) == text
