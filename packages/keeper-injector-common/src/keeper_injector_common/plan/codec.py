"""Codecs: how values are read from JSON, written to JSON and described in JSON Schema, by one declaration each.

::

    MODES = array(choice("keep", "remove"), least=1)
    MODES.read(["keep"])  # ("keep",)
    MODES.write(("keep",))  # ["keep"]
    MODES.schema  # {"type": "array", "items": {"enum": ["keep", "remove"], …}, "minItems": 1}

Reading reports every fault with the path to it. :mod:`keeper_injector_common.plan.attrs_codec` has the codecs of whole classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

import attrs

from keeper_injector_common import parsers
from keeper_injector_common.json_values import Json, kind_of
from keeper_injector_common.parsers import InvalidValue, Parse

T = TypeVar("T")


class InvalidParts(ValueError):  # noqa: N818 - the counterpart of InvalidValue
    """An array or object with invalid parts: the path to each part from here, such as ``.files[0].mode``, and its fault."""

    def __init__(self, parts: list[tuple[str, InvalidValue]]) -> None:
        self.parts = parts
        super().__init__("\n".join(f"{path}: {fault}" for path, fault in parts))


def at(path: str, error: InvalidValue | InvalidParts) -> list[tuple[str, InvalidValue]]:
    """Return the faults of *error*, which reading the part at *path* raised, by their paths."""
    if isinstance(error, InvalidValue):
        return [(path, error)]
    return [(path + rest, fault) for rest, fault in error.parts]


def unchanged(value: T) -> T:
    """Return *value*."""
    return value


@attrs.frozen
class Codec(Generic[T]):
    """The JSON form of one type of value."""

    read: Callable[[object], T]
    """Return the value for JSON; raises :class:`~keeper_injector_common.parsers.InvalidValue` or :class:`InvalidParts`."""
    write: Callable[[T], Any]
    """Return JSON for the value; :func:`unchanged` if the value is its own JSON form."""
    schema: Json
    """JSON Schema of the form. It tells types, keys and ranges; the syntax of texts is left to the parsers."""


def text(parse: Parse[T], write: Callable[[T], Any] = unchanged, **schema: Any) -> Codec[T]:
    """Return the codec of a value that is a JSON string; *parse* reads the string."""

    def read(content: object) -> T:
        if not isinstance(content, str):
            raise InvalidValue(f"{kind_of(content)} found", "write text")
        return parse(content)

    return Codec(read, write, {"type": "string", "minLength": 1, **schema})


def choice(*words: str) -> Codec[Any]:
    """Return the codec of one of *words*."""
    return text(parsers.choice(*words), enum=list(words))


def number(above: float, highest: float) -> Codec[float]:
    """Return the codec of a number that is greater than *above* and at most *highest*."""

    def read(content: object) -> float:
        # bool is a subclass of int. The comparison also rejects NaN, and it precedes float(), which can overflow.
        if isinstance(content, bool) or not isinstance(content, int | float):
            raise InvalidValue(f"{kind_of(content)} found", "write a number")
        if not above < content <= highest:
            raise InvalidValue(f"{content!r} is out of range", f"write a number above {above:.0f}, up to {highest:.0f}")
        return float(content)

    return Codec(read, unchanged, {"type": "number", "exclusiveMinimum": above, "maximum": highest})


def integer(lowest: int, highest: int) -> Codec[int]:
    """Return the codec of a whole number in a range."""

    def read(content: object) -> int:
        if isinstance(content, bool) or not isinstance(content, int):
            raise InvalidValue(f"{kind_of(content)} found", "write a whole number")
        if not lowest <= content <= highest:
            raise InvalidValue(f"{content!r} is out of range", f"write a number from {lowest} to {highest}")
        return content

    return Codec(read, unchanged, {"type": "integer", "minimum": lowest, "maximum": highest})


def _read_boolean(content: object) -> bool:
    if not isinstance(content, bool):
        raise InvalidValue(f"{kind_of(content)} found", "write true or false")
    return content


BOOLEAN = Codec(_read_boolean, unchanged, {"type": "boolean"})


def array(item: Codec[T], *, least: int = 0) -> Codec[tuple[T, ...]]:
    """Return the codec of a tuple with at least *least* items."""
    read_item, write_item = item.read, item.write

    def read(content: object) -> tuple[T, ...]:
        if not isinstance(content, list):
            raise InvalidValue(f"{kind_of(content)} found", "write a list")
        if len(content) < least:
            raise InvalidValue("the list is empty", "write at least one item")
        try:
            return tuple([read_item(part) for part in content])
        except (InvalidValue, InvalidParts):
            # Paths to all faults, which cost a third of the time and which valid plans do not need.
            return tuple(_read_each(((f"[{number}]", part) for number, part in enumerate(content)), read_item))

    def write(value: tuple[T, ...]) -> list[Any]:
        return list(value) if write_item is unchanged else [write_item(part) for part in value]

    return Codec(read, write, {"type": "array", "items": item.schema, **({"minItems": least} if least else {})})


def mapping(value: Codec[T]) -> Codec[Mapping[str, T]]:
    """Return the codec of a mapping from any text to values."""

    def read(content: object) -> Mapping[str, T]:
        if not isinstance(content, dict):
            raise InvalidValue(f"{kind_of(content)} found", "write an object")
        return dict(
            zip(content, _read_each(((f".{key}", part) for key, part in content.items()), value.read), strict=True)
        )

    def write(mapping: Mapping[str, T]) -> Json:
        return {key: value.write(part) for key, part in mapping.items()}

    return Codec(read, write, {"type": "object", "additionalProperties": value.schema})


def _read_each(parts: Iterable[tuple[str, object]], read: Callable[[object], T]) -> list[T]:
    """Read each of *parts*, a path and its JSON; raises :class:`InvalidParts` for all that are invalid."""
    values: list[T] = []
    invalid: list[tuple[str, InvalidValue]] = []
    for path, part in parts:
        try:
            values.append(read(part))
        except (InvalidValue, InvalidParts) as error:
            invalid += at(path, error)
    if invalid:
        raise InvalidParts(invalid)
    return values
