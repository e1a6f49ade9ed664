"""Structured values as flat ones, for formats that know only names and text."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from keeper_injector_common.errors import FormatError

if TYPE_CHECKING:
    from keeper_injector_common.records.formats.interface import RecordContent
    from keeper_injector_common.records.record import JsonValue

Join = Callable[[str, str | int], str]
"""Name of a field and a key or an index inside it → name of the part."""


def _underscored(name: str, part: str | int) -> str:
    """Join as ``address_city`` and ``phone_0``; the first is 0, as in Keeper's notation ``phone[0]``."""
    return f"{name}_{part}"


def flatten(content: RecordContent, join: Join = _underscored) -> dict[str, str]:
    """Return text by name, in the record's order; raises FormatError when two parts get one name.

    An empty list or object becomes one empty text, so that its name does not vanish.
    """
    flat: dict[str, str] = {}
    for field, value in content.fields.items():
        for name, text in _leaves(field, value, join):
            if name in flat:
                raise FormatError(
                    f"record {content.title!r}: two values are called {name!r}; rename a field in Keeper or use json"
                )
            flat[name] = text
    return flat


def scalar_text(value: JsonValue) -> str:
    """Write a plain value as text: null as nothing, booleans and numbers as in JSON."""
    match value:
        case str():
            return value
        case None:
            return ""
        case _:
            return json.dumps(value)


def _leaves(name: str, value: JsonValue, join: Join) -> Iterator[tuple[str, str]]:
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
