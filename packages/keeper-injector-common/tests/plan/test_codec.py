"""Codecs of single values and arrays."""

from typing import Any

import pytest

from keeper_injector_common import parsers
from keeper_injector_common.parsers import InvalidValue
from keeper_injector_common.plan.codec import (
    BOOLEAN,
    Codec,
    InvalidParts,
    array,
    choice,
    integer,
    mapping,
    number,
    text,
)


@pytest.mark.parametrize(
    ("codec", "content", "message"),
    [
        (text(parsers.text), 5, "a number found; write text"),
        (choice("a", "b"), "c", "'c' is unknown; write a or b"),
        (BOOLEAN, "yes", "text found; write true or false"),
        (BOOLEAN, 1, "a number found; write true or false"),
        (integer(1, 9), True, "a boolean found; write a whole number"),
        (integer(1, 9), 2.0, "a number found; write a whole number"),
        (integer(1, 9), 10, "10 is out of range; write a number from 1 to 9"),
        (number(0, 9), "5", "text found; write a number"),
        (number(0, 9), float("nan"), "nan is out of range; write a number above 0, up to 9"),
        (number(0, 9), 10**400, "is out of range"),
        (array(BOOLEAN), {}, "a mapping found; write a list"),
        (array(BOOLEAN, least=1), [], "the list is empty; write at least one item"),
        (mapping(BOOLEAN), [], "a list found; write an object"),
    ],
)
def test_a_value_of_another_type_or_range_is_rejected(codec: Codec[Any], content: object, message: str) -> None:
    """The error says what was found and what to write."""
    with pytest.raises(InvalidValue, match=message):
        codec.read(content)


def test_numbers_stay_numbers() -> None:
    """A number is never read from text, and a whole number may stand for a fraction."""
    assert number(0, 9).read(5) == 5.0
    assert isinstance(number(0, 9).read(5), float)
    assert integer(1, 9).read(5) == 5


@pytest.mark.parametrize(
    ("codec", "content", "paths"),
    [
        (array(BOOLEAN), [True, 1, "x"], ["[1]", "[2]"]),
        (array(array(BOOLEAN)), [[1], [True], [2]], ["[0][0]", "[2][0]"]),
        (mapping(array(BOOLEAN)), {"a": [1], "b": 2}, [".a[0]", ".b"]),
    ],
)
def test_each_invalid_part_has_its_path(codec: Codec[Any], content: object, paths: list[str]) -> None:
    """Reading an array or object collects the faults of all its parts."""
    with pytest.raises(InvalidParts) as caught:
        codec.read(content)
    assert [path for path, _ in caught.value.parts] == paths
