"""Flatten structured values into names and text, for formats that have nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from keeper_injector_common.errors import FormatError
from keeper_injector_common.parsers import InvalidValue

if TYPE_CHECKING:
    from keeper_injector_common.records.formats.interface import RecordContent
    from keeper_injector_common.records.record import JsonValue

_JoinNames = Callable[[str, str | int], str]
"""Joins the name of a value and the key or index of one of its parts."""


def _underscored(name: str, part: str | int) -> str:
    return f"{name}_{part}"


def flatten(content: RecordContent, join: _JoinNames = _underscored) -> dict[str, str]:
    """Return the text of each value by its flat name, in the order of the record.

    By default, names are joined by ``_``; indexes count from 0, as in Keeper's notation ``phone[0]``. An empty list or
    object becomes one empty text, so that its name is kept. Raises FormatError if two values get the same name.

    >>> flatten(RecordContent("db", {"address": {"city": "Bern"}, "phone": ["555", "556"]}))
    {'address_city': 'Bern', 'phone_0': '555', 'phone_1': '556'}
    """
    flat: dict[str, str] = {}
    for field, value in content.fields.items():
        for name, text in _leaves(field, value, join):
            if name in flat:
                where = "set another name in keys" if content.exact_names else "rename a field in Keeper"
                raise FormatError(f"record {content.title!r}: two values are named {name!r}; {where} or use json")
            flat[name] = text
    return flat


def scalar_text(value: JsonValue) -> str:
    """Return a plain value as text: null is empty, booleans and numbers are written as in JSON."""
    match value:
        case str():
            return value
        case None:
            return ""
        case _:
            return json.dumps(value)


def one_text(value: JsonValue) -> str:
    """Return a plain value as :func:`scalar_text` does.

    Raises :class:`~keeper_injector_common.parsers.InvalidValue` for null, which a reader would take for an empty text, and for a
    list or an object, which is not one text.
    """
    match value:
        case None:
            raise InvalidValue("the value is null", "write default, with or if where it may be")
        case list() | dict():
            raise InvalidValue(
                "a list or an object is not one value", "write its parts one by one, or use toJson first"
            )
        case _:
            return scalar_text(value)


def _leaves(name: str, value: JsonValue, join: _JoinNames) -> Iterator[tuple[str, str]]:
    parts: list[tuple[str | int, JsonValue]]
    match value:
        case dict() if value:
            parts = list(value.items())
        case list() if value:
            parts = list(enumerate(value))
        case dict() | list():
            yield name, ""
            return
        case _:
            yield name, scalar_text(value)
            return
    for part, item in parts:
        yield from _leaves(join(name, part), item, join)
