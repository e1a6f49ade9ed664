"""What a template works on: the record's data, fields that are not there, and the weight of a value."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from gotpl import TemplateExecutionError
from gotpl.runtime.values import INVALID, UNTYPED_NIL

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_WEIGHT = 1_000_000
"""Characters and elements that a value, an argument or the whole output may have."""
NO_VALUE = "<no value>"
"""What Go writes where there is no value: never into a file."""


class FunctionError(TemplateExecutionError):
    """An error in our own words, which hold no value and may be shown.

    *quoted* are words that may be shown in their place when the template's source has them as a literal.
    """

    def __init__(self, text: str, *, function: str = "", quoted: str = "", instead: str = "{}") -> None:
        super().__init__(text)
        self.text = text
        self.function = function
        self.quoted = quoted
        self.instead = instead

    def said(self, source: str) -> str:
        """Return the words to show to whoever has written *source*."""
        literal = self.quoted and any(f"{mark}{self.quoted}{mark}" in source for mark in '"`')
        return self.instead.format(self.quoted) if literal else self.text


class TemplateObject(dict[str, object]):
    """An object whose missing fields are :class:`MissingField`; the engine asks for fields by this method."""

    def __gotemplate_lookup__(self, field: str) -> object:
        return self[field] if field in self else MissingField(field)


_ABSENT = "write default, get, with or if where it may be absent"


class MissingField(dict[str, object]):
    """A field that the record has not: false where a template asks, an error wherever it is used.

    Empty, and a dict, because that is what the engine takes for false.
    """

    def __init__(self, field: str = "", *, key: str = "") -> None:
        super().__init__()
        self.field = field
        """As the source has it."""
        self.key = key
        """As a function was given it: possibly a value."""

    def __gotemplate_lookup__(self, field: str) -> object:
        raise self.refused()

    def __iter__(self) -> Iterator[str]:
        raise self.refused()

    def refused(self, function: str = "") -> FunctionError:
        """Return the error for using it."""
        text = f"there is no field {self.field}; {_ABSENT}" if self.field else f"there is no such field; {_ABSENT}"
        return FunctionError(text, function=function, quoted=self.key, instead=f"there is no field {{}}; {_ABSENT}")


class TemplateOutput(io.StringIO):
    """Takes the text piece by piece, so that an absent value is caught on its line."""

    def write(self, piece: str, /) -> int:
        """Take one piece, be it of the source or a value."""
        if piece == NO_VALUE:
            raise FunctionError("the value is null; write default, with or if where it may be")
        return super().write(piece)


def to_template_value(value: object) -> object:
    """Copy *value*, so that its objects are :class:`TemplateObject` and its nils None; what is TemplateObject already stays itself."""
    match value:
        case TemplateObject() | MissingField():
            return value
        case dict():
            return TemplateObject((str(key), to_template_value(item)) for key, item in value.items())
        case list() | tuple():
            return [to_template_value(item) for item in value]
        case None | bool() | int() | float() | str():
            return value
        case _ if value is UNTYPED_NIL or value is INVALID:
            return None
    raise FunctionError("something is neither text nor number, list or object; templates have no use for it")


def weight(value: object, *, limit: int = MAX_WEIGHT, depth: int = 1) -> int:
    """Return how many characters and elements *value* has, those deep inside counted by their depth.

    Stops soon after *limit*: a list that holds another many times over is small in memory and endless on paper.
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
