"""References as values, and how each is written as text that :mod:`.grammar` reads as the same value."""

from __future__ import annotations

import enum
from typing import Final, Literal

import attrs

from keeper_injector_common.patterns import pattern

PREFIX = "keeper://"
TEXTS: dict[str, Literal["type", "title", "notes"]] = {"type": "type", "title": "title", "notes": "notes"}
"""The selectors of texts of a record."""
KEYWORDS = frozenset({*TEXTS, "field", "custom_field", "file"})
"""The selectors of Keeper's notation. After a slash, a name that is one of them begins with a backslash."""


@attrs.frozen
class RecordName:
    """The title or UID of a record. Parts before the last one are the names of its folders."""

    parts: tuple[str, ...]

    @property
    def title(self) -> str:
        """The whole name as one title, because a title may contain slashes."""
        return "/".join(self.parts)

    def __str__(self) -> str:
        first, *others = map(_escape_name, self.parts)
        return "/".join([first, *(f"\\{part}" if part.lower() in KEYWORDS else part for part in others)])


class AllValues(enum.Enum):
    """The type of :data:`ALL_VALUES`."""

    ALL = "[]"


ALL_VALUES: Final = AllValues.ALL
"""The index ``[]``: all values of a field."""

Index = int | AllValues | None
Kind = Literal["any", "field", "custom_field"]


@attrs.frozen
class WholeRecord:
    """All fields of a record."""

    record: RecordName

    def __str__(self) -> str:
        return str(self.record)


@attrs.frozen
class FieldValue:
    """One field of a record, or one value or property of that field."""

    record: RecordName
    field: str
    kind: Kind = "any"
    index: Index = None
    property: str | None = None

    def __str__(self) -> str:
        tail = "" if self.index is None else "[]" if self.index is ALL_VALUES else f"[{self.index}]"
        if self.property is not None:
            tail += f"[{_escape_bracket(self.property)}]"
        if self.kind == "any":
            return f"{self.record}[{_escape_bracket(self.field)}]{tail}"
        return f"{PREFIX}{self.record}/{self.kind}/{_escape_name(self.field)}{tail}"


@attrs.frozen
class RecordText:
    """The type, title or notes of a record."""

    record: RecordName
    which: Literal["type", "title", "notes"]

    def __str__(self) -> str:
        return f"{PREFIX}{self.record}/{self.which}"


@attrs.frozen
class FileContent:
    """The content of a file attached to a record."""

    record: RecordName
    file: str

    def __str__(self) -> str:
        return f"{PREFIX}{self.record}/file/{_escape_name(self.file)}"


Reference = WholeRecord | FieldValue | RecordText | FileContent


_SPECIAL_IN_NAME = pattern(r"([/\[\]\\]|:\Z|^\s|\s\Z)")
_SPECIAL_IN_BRACKETS = pattern(r"([\[\]\\])")


def _escape_name(name: str) -> str:
    # A colon at the end would divide the reference from a path that follows, and blanks at the ends would be stripped.
    return _SPECIAL_IN_NAME.sub(r"\\\1", name) if _SPECIAL_IN_NAME.search(name) else name


def _escape_bracket(name: str) -> str:
    return _SPECIAL_IN_BRACKETS.sub(r"\\\1", name) if _SPECIAL_IN_BRACKETS.search(name) else name


_UID_LENGTH = 22
_UID_LAST = frozenset("AQgw")
_UID_ALPHABET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def is_uid(text: str) -> bool:
    """Return whether *text* can be the UID of a Keeper record: 16 bytes in unpadded base64url.

    22 characters hold 132 bits, so the last character has only two significant bits. ``production-db-password`` has the
    length of a UID and is not one.
    """
    return len(text) == _UID_LENGTH and text[-1] in _UID_LAST and set(text) <= _UID_ALPHABET
