"""The values that a template works on: objects, missing fields, the output, and the weight of a value.

Go distinguishes a nil, a missing key and an empty object, and gotpl has its own markers for them. Everything that enters a
template or leaves a function passes through :func:`to_template_value`, so that only the types of this module occur.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from gotpl import TemplateExecutionError
from gotpl.runtime.values import INVALID, UNTYPED_NIL

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_WEIGHT = 1_000_000
"""The number of characters and elements that a value, the arguments of a call or the whole output may have."""
_NO_VALUE = "<no value>"
"""What Go writes for a value that does not exist; it must never get into a file."""


class FunctionError(TemplateExecutionError):
    """An error whose message contains no value, so that it can be shown: *found* and what would be *right*.

    *literal* is a text that a function received and that may be a value. Only if the source of the template contains it as a
    literal, it is not secret, and the more specific message *if_literal* is shown.
    """

    def __init__(
        self,
        found: str,
        right: str = "",
        *,
        function: str = "",
        literal: str = "",
        if_literal: tuple[str, str] | None = None,
    ) -> None:
        super().__init__(found)
        self.function = function
        self._message = (found, right)
        self._literal = literal
        self._if_literal = if_literal

    def message_for(self, source: str) -> tuple[str, str]:
        """Return what was found and what would be right, for the author of *source*."""
        is_literal = self._literal and any(f"{quote}{self._literal}{quote}" in source for quote in '"`')
        return self._if_literal if is_literal and self._if_literal else self._message


class _TemplateObject(dict[str, object]):
    """An object whose missing fields are a :class:`MissingField`. The engine looks fields up with the method below."""

    def __gotemplate_lookup__(self, field: str) -> object:
        return self[field] if field in self else MissingField(field)


_IF_ABSENT = "write default, get, with or if where it may be absent"


class MissingField(dict[str, object]):
    """A field that the record does not have: false in a condition, an error if it is used in any other way.

    It is an empty dict because the engine takes that for false.
    """

    def __init__(self, field: str = "", *, key: str = "") -> None:
        super().__init__()
        self._field = field
        """The name as it is written in the source."""
        self._key = key
        """The name as a function received it, which may be a value."""

    def __gotemplate_lookup__(self, field: str) -> object:
        raise self.error()

    def __iter__(self) -> Iterator[str]:
        raise self.error()

    def error(self, function: str = "") -> FunctionError:
        """Return the error for using the field, in *function* if any."""
        found = f"there is no field {self._field}" if self._field else "there is no such field"
        if_literal = (f"there is no field {self._key}", _IF_ABSENT)
        return FunctionError(found, _IF_ABSENT, function=function, literal=self._key, if_literal=if_literal)


class TemplateOutput(io.StringIO):
    """Collects the output piece by piece, so that a value that does not exist is an error on its own line."""

    def write(self, piece: str, /) -> int:
        """Add a piece, which is text of the source or a value."""
        if piece == _NO_VALUE:
            raise FunctionError("the value is null", "write default, with or if where it may be")
        return super().write(piece)


def to_template_value(value: object) -> object:
    """Return a copy of *value* in which every object is a ``_TemplateObject`` and every nil is None.

    A ``_TemplateObject`` is returned as it is. Raises :class:`FunctionError` for other types.
    """
    match value:
        case _TemplateObject() | MissingField():
            return value
        case dict():
            return _TemplateObject((str(key), to_template_value(item)) for key, item in value.items())
        case list() | tuple():
            return [to_template_value(item) for item in value]
        case None | bool() | int() | float() | str():
            return value
        case _ if value is UNTYPED_NIL or value is INVALID:
            return None
    raise FunctionError("a value is neither text, number, boolean, list nor object", "use one of these")


def weight(value: object, *, limit: int = MAX_WEIGHT, depth: int = 1) -> int:
    """Return how many characters and elements *value* has, each element counted as often as it is nested deep.

    Stops soon after *limit*: a list that contains another one many times needs little memory, but its text has no bound.
    """
    match value:
        case str():
            return len(value) + depth
        case dict():
            return _sum((item for pair in value.items() for item in pair), limit, depth)
        case list() | tuple():
            return _sum(iter(value), limit, depth)
        case _:
            return depth


def _sum(items: Iterator[object], limit: int, depth: int) -> int:
    total = depth
    for item in items:
        total += weight(item, limit=limit - total, depth=depth + 1)
        if total > limit:
            break
    return total
