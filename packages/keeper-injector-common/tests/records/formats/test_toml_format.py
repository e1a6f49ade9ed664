"""``toml`` files are read back by the standard library."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from format_samples import RECORD, RECORDS, SECRET, write_bytes, write_text
from hypothesis import example, given

from keeper_injector_common.errors import FormatError


def test_record_with_values_of_every_shape() -> None:
    """Names, order and structure are part of the contract; a new version must not change them."""
    assert (
        write_text("toml", RECORD)
        == """\
login = "admin"
password = "s3ntinel-Ω"
address = { street1 = "1 Main St" }
phone = [{ number = "555", type = "Work" }, { number = "556" }]
tags = []
active = true
port = 5432
"API Key" = "k"
"""
    )


REJECTED = {
    "null": ([SECRET, None], "a list contains null", "use json or yaml"),
    "number": ([SECRET, 2**63], "exceeds the 64 bits", "use json"),
}


@pytest.mark.parametrize(("value", "fault", "alternatives"), REJECTED.values(), ids=REJECTED.keys())
def test_a_rejected_value_is_named_with_its_problem_and_alternatives(value: Any, fault: str, alternatives: str) -> None:
    """A value that TOML cannot represent is an error with alternatives and without the value."""
    with pytest.raises(FormatError, match=rf"{fault}.*; .*{alternatives}") as caught:
        write_text("toml", {"login": "admin", "password": value})
    assert SECRET not in str(caught.value)


def without_null(value: Any) -> Any:
    """Leave out every key without a value, as TOML must."""
    match value:
        case dict():
            return {key: without_null(item) for key, item in value.items() if item is not None}
        case list():
            return [without_null(item) for item in value]
        case _:
            return value


def contains(value: Any, wanted: Any) -> bool:
    """Return whether *wanted* is true for *value* or anything inside it."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return bool(wanted(value)) or any(contains(item, wanted) for item in inside)


def is_beyond_toml(value: Any) -> bool:
    """Return whether TOML cannot represent *value*: it has neither null in arrays nor more than 64 bits."""
    return (isinstance(value, int) and not -(2**63) <= value < 2**63) or (isinstance(value, list) and None in value)


@given(RECORDS)
@example({"\x7f\0\x1f": "\x7f\0\x1f\t\b\f\\\"'''", "a.b": {"c d": {}}, "e": [[], [1, "two", {"f": 3.0}]]})
@example({"n": [None]})
@example({"n": 2**63})
def test_values_are_read_back(fields: dict[str, Any]) -> None:
    """TOML gives every value but nulls back unchanged; a value that it cannot represent is rejected."""
    kept = without_null(fields)
    if contains(kept, is_beyond_toml):
        with pytest.raises(FormatError):
            write_bytes("toml", fields)
        return
    read = tomllib.loads(write_text("toml", fields))
    assert read == kept
    assert list(read) == list(kept)
