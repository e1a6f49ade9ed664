"""Reads references; the grammar is in the docstring of this package."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from functools import lru_cache

import attrs

from keeper_injector_common.errors import InvalidReferenceError
from keeper_injector_common.limits import LONGEST_REFERENCE, MOST_PARTS
from keeper_injector_common.parsers import stripped
from keeper_injector_common.patterns import pattern
from keeper_injector_common.references.values import (
    ALL_VALUES,
    KEYWORDS,
    PREFIX,
    TEXTS,
    FieldValue,
    FileContent,
    Index,
    RecordName,
    RecordText,
    Reference,
    WholeRecord,
)

LONGEST_CACHED = 256
"""Characters of the longest reference whose result is cached."""


def parse_reference(text: str) -> Reference:
    """Read a reference. Raises :class:`~keeper_injector_common.errors.InvalidReferenceError`, which has the position of the fault.

    Results for short texts are cached, because the replicas of a workload all have the same references.
    """
    return _cached_reference(text) if len(text) <= LONGEST_CACHED else _parse_reference(text)


def _parse_reference(text: str) -> Reference:
    _reject_long(text)
    text = _decoded_notation(text) or text
    segments = _segments(text, _start(text))
    *above, last = segments
    for segment in above:
        if segment.brackets:
            raise InvalidReferenceError(
                text, (segment.end, segment.end), "only the last name may be followed by '['", "write '\\['"
            )
    for position, segment in enumerate(above):
        if position > 0 and segment.keyword in _LONG:
            # Keeper's SDKs read slashes behind the selector as part of the name.
            name = "/".join(_names(segments[position + 1 :]))
            return _notation(text, RecordName(_names(above[:position])), segment.keyword, name, last)
    which = TEXTS.get(last.keyword)
    if above and not last.brackets and which:
        return RecordText(RecordName(_names(above)), which)
    return _bracketed(text, RecordName(_names(segments)), last)


_cached_reference = lru_cache(maxsize=1024)(_parse_reference)


def _start(text: str) -> int:
    return len(PREFIX) if text[: len(PREFIX)].lower() == PREFIX else 0


_BASE64 = pattern(r"[\w-]{8,}={0,2}", re.ASCII)
_NOTATION = pattern(r".+/(type|title|notes|(field|custom_field|file)/.+)", re.DOTALL | re.IGNORECASE)


def _decoded_notation(text: str) -> str | None:
    """Return the notation in *text*, which Keeper's SDKs also read in base64url, or None if it is not one.

    Text without a slash is a title, too, so it has to contain a whole notation.
    """
    if not _BASE64.fullmatch(text):
        return None
    try:
        decoded = base64.urlsafe_b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)).decode()
    except ValueError:
        return None
    return decoded if _NOTATION.fullmatch(decoded) else None


def count_separators(text: str) -> int:
    """Return how many characters of *text* divide names or escape others."""
    return sum(map(text.count, "/[]\\"))


def _reject_long(text: str) -> None:
    """Reject a text whose parts would take long to read. The titles and folders of people are far below the limits."""
    if len(text) > LONGEST_REFERENCE:
        found, right = f"the reference has {len(text)} characters", f"write at most {LONGEST_REFERENCE}"
        raise InvalidReferenceError(text, (LONGEST_REFERENCE, len(text)), found, right)
    if (count := count_separators(text)) > 2 * MOST_PARTS:
        found, right = f"the reference has {count} slashes, brackets and backslashes", f"write at most {2 * MOST_PARTS}"
        raise InvalidReferenceError(text, (len(text), len(text)), found, right)


def parse_file(text: str) -> FileContent:
    """Read ``record:file``, divided at the last colon, or a notation with ``/file/``.

    Raises :class:`~keeper_injector_common.errors.InvalidReferenceError`.
    """
    _reject_long(text)
    divider = next((match.start() for match in reversed([*_DIVIDER.finditer(text)]) if match[0] == ":"), 0)
    if not _start(text) and divider > 0:
        record = parse_reference(stripped(text[:divider]))
        if isinstance(record, WholeRecord) and (name := stripped(text[divider + 1 :])):
            return FileContent(record.record, "".join(_file_characters(text, name)))
    reference = parse_reference(text)
    if not isinstance(reference, FileContent):
        raise InvalidReferenceError(
            text, (len(text), len(text)), "no file is named", "write record:file or keeper://record/file/name"
        )
    return reference


def _file_characters(text: str, name: str) -> Iterator[str]:
    """Yield the characters of a file's name after a colon, where only backslashes need an escape."""
    for match in _TOKEN.finditer(name):
        yield match[0] if match[0] in "[]" else _literal(text, match[0], text.rindex(name) + match.start())


def parse_folder(text: str) -> RecordName:
    """Read the path of a folder: names with slashes between them and, if you like, around them.

    A path has no selectors, so that a folder may be called ``Notes``. Raises
    :class:`~keeper_injector_common.errors.InvalidReferenceError`.
    """
    _reject_long(text)
    end = len(text)
    while text[:end].endswith("/") and not _ends_with_escape(text[: end - 1]):
        end -= 1
    start = _start(text)
    start += len(text[start:end]) - len(text[start:end].lstrip("/"))
    segments = _segments(text[:end], start)
    for segment in segments:
        if segment.brackets:
            raise InvalidReferenceError(
                text, (segment.end, segment.end), "a folder has no fields", "write a bracket in its name as '\\['"
            )
    return RecordName(_names(segments))


def _ends_with_escape(text: str) -> bool:
    return (len(text) - len(text.rstrip("\\"))) % 2 == 1


_LONG = frozenset({"field", "custom_field", "file"})
_DIVIDER = pattern(r"\\.|:", re.DOTALL)
_TOKEN = pattern(r"[^\\/\[\]]+|\\.?|.", re.DOTALL)
"""A run of ordinary characters, an escape, or a character with a meaning."""
_ESCAPABLE = frozenset("/[]:,\\")
"""Characters that an escape makes part of a name. Blanks are others."""
_ESCAPED_KEYWORD = pattern(rf"\\(?=({'|'.join(sorted(KEYWORDS))})(?=[/\[]|\Z))", re.IGNORECASE)


@attrs.frozen
class _Segment:
    """A name between slashes with the brackets that follow it."""

    name: str
    brackets: tuple[str, ...]
    end: int
    escaped: bool = False
    """Whether it begins with an escape, so that it is not a keyword, and not empty if it is blank."""

    @property
    def keyword(self) -> str:
        """The name as a selector; empty if it is escaped."""
        return "" if self.escaped else self.name.lower()


def _segments(text: str, start: int) -> list[_Segment]:
    """Divide *text* at the slashes outside brackets, and read brackets and escapes."""
    segments: list[_Segment] = []
    name, brackets, begin = "", list[str](), start
    inside: str | None = None
    for match in _TOKEN.finditer(text, start):
        part, position = match[0], match.start()
        match part, inside:
            case "[", None:
                inside = ""
            case "]", str():
                brackets.append(inside)
                inside = None
            case "/", None:
                segments.append(_segment(text, begin, position, name, brackets))
                name, brackets, begin = "", [], position + 1
            case _, str():
                inside += _literal(text, part, position)
            case _ if brackets and part.startswith(":"):
                right = f"write :/{text[position + 1 :].strip().lstrip('./')}, or remove it"
                raise InvalidReferenceError(text, (position, len(text)), "the path after ':' is not absolute", right)
            case _ if brackets:
                end = position + (len(part) if part[0] == "\\" else 1)
                raise InvalidReferenceError(
                    text, (position, end), "nothing but '[' may follow ']'", "remove what follows"
                )
            case _ if position == begin and _ESCAPED_KEYWORD.match(text, position):
                name = part[1:]
            case _:
                name += _literal(text, part, position)
    if inside is not None:
        raise InvalidReferenceError(text, (len(text), len(text)), "']' is missing", "add it")
    segments.append(_segment(text, begin, len(text), name, brackets))
    return segments


def _literal(text: str, part: str, position: int) -> str:
    """Return the character that *part*, a character or an escape, means in a name."""
    if part in {"[", "]"}:
        raise InvalidReferenceError(
            text, (position, position + len(part)), "this bracket is not escaped", f"write '\\{part}'"
        )
    if not part.startswith("\\"):
        return part
    if part[1:] not in _ESCAPABLE and not part[1:].isspace():
        raise InvalidReferenceError(
            text, (position, position + len(part)), "this backslash is not escaped", "write '\\\\'"
        )
    return part[1:]


def _segment(text: str, begin: int, end: int, name: str, brackets: list[str]) -> _Segment:
    escaped = text.startswith("\\", begin)
    if not (name if escaped else name.strip()):
        raise InvalidReferenceError(text, (end, end), "a name is missing here", "add it")
    if "\0" in name:
        raise InvalidReferenceError(text, (end, end), "a name cannot have a NUL character", "remove it")
    return _Segment(name, tuple(brackets), end, escaped)


def _names(segments: list[_Segment]) -> tuple[str, ...]:
    return tuple(segment.name for segment in segments)


def _notation(text: str, record: RecordName, keyword: str, name: str, last: _Segment) -> Reference:
    if keyword == "file":
        _reject_brackets(text, last)
        return FileContent(record, name)
    index, prop = _index_and_property(text, last, last.brackets)
    return FieldValue(record, name, "field" if keyword == "field" else "custom_field", index, prop)


def _bracketed(text: str, record: RecordName, last: _Segment) -> Reference:
    if not last.brackets:
        return WholeRecord(record)
    field, *rest = last.brackets
    if not field.strip():
        raise InvalidReferenceError(
            text, (last.end, last.end), "the brackets are empty", "write the name of a field in them"
        )
    index, prop = _index_and_property(text, last, tuple(rest))
    return FieldValue(record, field, "any", index, prop)


def _index_and_property(text: str, last: _Segment, brackets: tuple[str, ...]) -> tuple[Index, str | None]:
    match brackets:
        case ():
            return None, None
        case (first,) if _is_index(first):
            return _index(first), None
        case (first,):
            return None, first
        case (first, second) if _is_index(first) and second:
            return _index(first), second
    raise InvalidReferenceError(
        text,
        (last.end, last.end),
        "the brackets after the field are wrong",
        "write [index], [property] or [index][property]",
    )


def _is_index(text: str) -> bool:
    return text == "" or (text.isascii() and text.isdigit() and len(text) < _LONGEST_INDEX)


_LONGEST_INDEX = 6


def _index(text: str) -> Index:
    return int(text) if text else ALL_VALUES


def _reject_brackets(text: str, last: _Segment) -> None:
    if last.brackets:
        raise InvalidReferenceError(
            text, (last.end, last.end), "a file has no index", "write a bracket in its name as '\\['"
        )
