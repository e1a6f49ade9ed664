"""Edits of the text of YAML: entries and items are removed and added. What is not edited stays as it is, line endings included.

Entries in the block style are whole lines. In the flow style (``{…}`` and ``[…]``, and all of JSON) they are parts of lines.
"""

from __future__ import annotations

import json
import sys
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from typing import cast

import attrs
import yaml

Content = str | Mapping[str, "Content"]
"""The value of an added entry: a text, or a mapping."""


class UneditableError(Exception):
    """A node cannot be edited in its text; the message has the form ``FOUND; WHAT TO DO``."""


@attrs.frozen
class Edit:
    """Replaces the characters from *start* to before *end*."""

    start: int
    end: int
    text: str


def apply(text: str, edits: Iterable[Edit]) -> str:
    """Return *text* with *edits*. An edit inside another one has no effect."""
    parts: list[str] = []
    done = 0
    for edit in sorted(edits, key=lambda item: (item.start, item.start != item.end, -item.end)):
        if edit.start >= done:
            parts += [text[done : edit.start], edit.text]
            done = edit.end
    return "".join([*parts, text[done:]])


@attrs.define
class _Changes:
    node: yaml.CollectionNode
    removed: set[int] = attrs.field(factory=set)
    added: dict[int, list[tuple[str, Content]]] = attrs.field(factory=dict)
    """By the index of the entry that they precede."""


class Editor:
    """Collects changes of the nodes of one text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._starts = [0]
        for line in text.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))
        self._ending = next(filter(None, map(ending_of, text.splitlines(keepends=True))), "\n")
        self._changes: dict[int, _Changes] = {}

    def remove(self, node: yaml.CollectionNode, index: int) -> None:
        """Remove an item of a list or an entry of a mapping. Raises :class:`UneditableError`."""
        self._range(node, index)
        self._of(node).removed.add(index)

    def add(self, node: yaml.MappingNode, index: int, key: str, value: Content) -> None:
        """Add an entry to a mapping, before the entry with this index. Raises :class:`UneditableError`."""
        if not node.flow_style and node.value and not self._is_own_line(node.value[0][0].start_mark.index):
            raise UneditableError(
                "the mapping begins in the line of a list item; write its first entry in its own line"
            )
        self._of(node).added.setdefault(index, []).append((key, value))

    def save(self) -> object:
        """Return the changes so far, for :meth:`restore`."""
        return {
            key: _Changes(item.node, set(item.removed), {at: list(added) for at, added in item.added.items()})
            for key, item in self._changes.items()
        }

    def restore(self, saved: object) -> None:
        """Forget the changes since :meth:`save`."""
        self._changes = cast("dict[int, _Changes]", saved)

    def removed_all(self, node: yaml.CollectionNode) -> bool:
        """Return whether all items of *node* are removed."""
        changes = self._changes.get(id(node))
        return changes is not None and len(changes.removed) == len(node.value)

    def result(self) -> str:
        """Return the text with all changes."""
        edits: list[Edit] = []
        # Where a mapping ends and the next entry around it begins, what is added to the inner one comes first.
        for changes in sorted(self._changes.values(), key=lambda item: item.node.start_mark.index, reverse=True):
            edits += self._flow(changes) if changes.node.flow_style else self._block(changes)
        return apply(self._text, edits)

    def _of(self, node: yaml.CollectionNode) -> _Changes:
        return self._changes.setdefault(id(node), _Changes(node))

    def _block(self, changes: _Changes) -> Iterator[Edit]:
        node = changes.node
        count = len(node.value)
        shared = self._removed_with_dash(changes)
        if shared:
            # Nothing can be added to such a mapping, see add().
            start = self._range(node, 0)[0]
            yield Edit(start, self._next_entry(node, shared - 1), "" if shared < count else self._ending)
        for index in range(shared, count + 1):
            added = self._added(changes, index)
            if index in changes.removed:
                start, end = self._range(node, index)
                yield Edit(start, end, added if self._is_ended(end) else self._without_ending(changes, index, added))
            elif added and index < count:
                start = self._range(node, index)[0]
                yield Edit(start, start, added)
            elif added:
                # If the last entry is removed too, its own edit comes first, because it begins earlier.
                end = self._range(node, count - 1)[1]
                if not self._is_ended(end):
                    lead = "" if count - 1 in changes.removed else self._ending
                    added = lead + self._without_ending(changes, index, added)
                yield Edit(end, end, added)

    def _removed_with_dash(self, changes: _Changes) -> int:
        """Return how many entries are removed together, because the first one begins in the line of a list item's dash."""
        node = changes.node
        if not isinstance(node, yaml.MappingNode) or not node.value or 0 not in changes.removed:
            return 0
        if self._is_own_line(node.value[0][0].start_mark.index):
            return 0
        return next(index for index in range(1, len(node.value) + 1) if index not in changes.removed)

    def _added(self, changes: _Changes, index: int) -> str:
        indent = " " * changes.node.start_mark.column
        lines = (line for key, value in changes.added.get(index, ()) for line in _block_lines(indent, key, value))
        return "".join(f"{line}{self._ending}" for line in lines)

    def _is_ended(self, end: int) -> bool:
        """Return whether the line before *end* has a line ending, which only the last line of the text may lack."""
        return end < len(self._text) or bool(ending_of(self._text[self._starts[-2] :]))

    def _without_ending(self, changes: _Changes, index: int, added: str) -> str:
        """Return added lines for the end of a text that does not end with a line ending, unless a value needs one."""
        _, value = changes.added[index][-1] if index in changes.added else ("", "")
        is_needed = (isinstance(value, str) and value.endswith("\n")) or index < len(changes.node.value) - 1
        return added if is_needed or not isinstance(value, str) else added.removesuffix(self._ending)

    def _flow(self, changes: _Changes) -> Iterator[Edit]:
        node = changes.node
        ranges = [self._range(node, index) for index in range(len(node.value))]
        kept = [index for index in range(len(ranges)) if index not in changes.removed]
        gap = self._gap(node, ranges)
        added = {
            index: [f"{_json(key)}: {_json(value)}" for key, value in entries]
            for index, entries in changes.added.items()
        }
        if not kept:
            inner = gap.join(text for _, texts in sorted(added.items()) for text in texts)
            start, end = (
                (ranges[0][0], ranges[-1][1]) if ranges else (node.start_mark.index + 1, node.end_mark.index - 1)
            )
            yield Edit(start, end, inner)
            return
        for position, index in enumerate(kept):
            previous = kept[position - 1] if position else -1
            before = [text for at in range(previous + 1, index + 1) for text in added.get(at, ())]
            text = "".join(f"{item}{gap}" for item in before)
            if previous + 1 < index:
                yield Edit(ranges[previous + 1][0], ranges[index][0], text)
            elif text:
                yield Edit(ranges[index][0], ranges[index][0], text)
        after = "".join(f"{gap}{text}" for at in range(kept[-1] + 1, len(ranges) + 1) for text in added.get(at, ()))
        if after or kept[-1] < len(ranges) - 1:
            yield Edit(ranges[kept[-1]][1], ranges[-1][1], after)

    def _gap(self, node: yaml.CollectionNode, ranges: list[tuple[int, int]]) -> str:
        """Return what divides two entries of a flow collection: a line break if each entry is in a separate line."""
        lead = self._text[node.start_mark.index + 1 : ranges[0][0]] if ranges else ""
        return f",{lead}" if ending_of(lead.rstrip(" \t")) and not lead.strip() else ", "

    def _range(self, node: yaml.CollectionNode, index: int) -> tuple[int, int]:
        """Return where an entry begins and ends: whole lines in the block style."""
        item = node.value[index]
        first, last = item if isinstance(item, tuple) else (item, item)
        previous = node.start_mark.index
        if index:
            other = node.value[index - 1]
            previous = (other[0] if isinstance(other, tuple) else other).start_mark.index
        is_alias = last.start_mark.index < first.start_mark.index or first.start_mark.index < previous
        if is_alias or (isinstance(item, tuple) and last.start_mark.index < first.end_mark.index):
            raise UneditableError("an alias; write the value itself")
        if node.flow_style:
            return first.start_mark.index, max(last.end_mark.index, first.end_mark.index)
        start = first.start_mark.index if isinstance(item, tuple) else self._dash(node, first, previous)
        if not self._is_own_line(start):
            return self._shared_line(node, index, start)
        end = self._starts[min(last_line(last) + 1, len(self._starts) - 1)]
        return self._starts[self._line_of(start)], max(end, start)

    def _shared_line(self, node: yaml.CollectionNode, index: int, start: int) -> tuple[int, int]:
        """Return the range of the first entry of a list item, which begins in the line of the dash."""
        if index + 1 >= len(node.value) or not isinstance(node.value[index + 1], tuple):
            raise UneditableError("several values in one line; write each in its own line")
        return start, self._next_entry(node, index)

    def _next_entry(self, node: yaml.CollectionNode, index: int) -> int:
        """Return where the text after the lines of an entry begins, comments included, without its indentation."""
        end = self._starts[min(last_line(node.value[index][1]) + 1, len(self._starts) - 1)]
        if index + 1 == len(node.value):
            return end
        while self._text[end : end + 1].isspace():
            end += 1
        return end

    def _dash(self, node: yaml.CollectionNode, first: yaml.Node, previous: int) -> int:
        """Return the position of the dash of an item."""
        column = node.start_mark.column
        for line in range(first.start_mark.line, -1, -1):
            start = self._starts[line] + column
            if start < previous:
                break
            if self._text[start : start + 1] == "-" and start < first.start_mark.index:
                return start
        raise UneditableError("an alias; write the value itself")

    def _is_own_line(self, position: int) -> bool:
        return not self._text[self._starts[self._line_of(position)] : position].strip()

    def _line_of(self, position: int) -> int:
        return bisect_right(self._starts, position) - 1 if position < self._starts[-1] else len(self._starts) - 2


def last_line(node: yaml.Node) -> int:
    """Return the number of the last line of a node's text, from 0."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        lines = map(last_line, last if isinstance(last, tuple) else (last,))
        return max(node.start_mark.line, *lines)
    end = node.end_mark
    # PyYAML's end mark of a block (| or >) is at the beginning of the next line.
    is_block = isinstance(node, yaml.ScalarNode) and node.style in {"|", ">"}
    return max(int(end.line) - 1 if is_block and not end.column else int(end.line), int(node.start_mark.line))


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


def _block_lines(indent: str, key: str, value: Content) -> list[str]:
    if isinstance(value, str):
        return entry_lines(indent, key, value)
    return [
        f"{indent}{key}:",
        *(line for name, item in value.items() for line in _block_lines(f"{indent}  ", name, item)),
    ]


def _json(value: Content) -> str:
    text = json.dumps(value, ensure_ascii=False)
    # Outside strings, this JSON has no character that is not printable.
    return text if text.isprintable() else json.dumps(value)
