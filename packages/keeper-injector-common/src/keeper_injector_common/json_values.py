"""JSON values from outside as Python has them: an alias for objects, access that never fails, and names for messages."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
"""A JSON object."""


def as_object(value: object) -> Json:
    """Return *value* if it is an object, otherwise an empty one."""
    return value if isinstance(value, dict) else {}


def as_objects(value: object) -> list[Json]:
    """Return the objects in *value* if it is a list, otherwise an empty list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def kind_of(value: object) -> str:
    """Return what kind of value *value* is, for messages: ``a list``, ``text``."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "a boolean"
        case list():
            return "a list"
        case dict():
            return "a mapping"
        case str():
            return "text"
        case int() | float():
            return "a number"
        case _:
            return "a value of another type"
