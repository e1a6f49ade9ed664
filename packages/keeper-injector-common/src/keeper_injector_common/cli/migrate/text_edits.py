"""Edits of the lines of a text. What is not edited stays as it is, line endings included."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import attrs
import yaml


@attrs.frozen
class Edit:
    """Replaces the lines *first* to *last* of the text, counted from 0."""

    first: int
    last: int
    lines: tuple[str, ...]
    """Without line endings."""


def apply(text: str, edits: Iterable[Edit]) -> str:
    """Return *text* with *edits*, which must not overlap. New lines end as the first line that they replace."""
    lines = text.splitlines(keepends=True)
    # From the last to the first, so that the line numbers of the remaining edits stay valid.
    for edit in sorted(edits, key=lambda item: item.first, reverse=True):
        ending = ending_of(lines[edit.first]) or ending_of(lines[0]) or "\n"
        is_unended = edit.last == len(lines) - 1 and not ending_of(lines[edit.last])
        new = [f"{line}{ending}" for line in edit.lines]
        if new and is_unended:
            new[-1] = edit.lines[-1]
        lines[edit.first : edit.last + 1] = new
    return "".join(lines)


def ending_of(line: str) -> str:
    """Return the line ending of a line that may have one."""
    return line[len(line.splitlines()[0]) if line.splitlines() else 0 :]


def entry_lines(indent: str, key: str, value: str) -> list[str]:
    """Return the lines of a mapping's entry. A text with several lines is a literal block, if it can be one."""
    body = value.removesuffix("\n")
    blocked = "\n" in value and value[:1] not in {" ", "\n"} and not body.endswith("\n")
    if blocked and all(line == line.rstrip() and line.isprintable() for line in body.split("\n")):
        marker = "|" if value.endswith("\n") else "|-"
        return [f"{indent}{key}: {marker}", *(f"{indent}  {line}" if line else "" for line in body.split("\n"))]
    quoted = yaml.dump(value, default_style='"', allow_unicode=True, width=sys.maxsize)
    return [f"{indent}{key}: {quoted.rstrip()}"]
