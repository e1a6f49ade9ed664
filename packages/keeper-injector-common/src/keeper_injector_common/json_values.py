"""JSON values from outside as Python has them: an alias for objects, and access that never fails."""

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
