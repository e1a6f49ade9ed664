"""Positions inside annotations whose values have lines: the YAML document in ``config``, and templates; no I/O."""

from __future__ import annotations

import re

import yaml

from keeper_injector_common.cli.manifest_yaml import Position
from keeper_injector_common.cli.manifests import Entry, mapping_items

_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_LINE = re.compile(r"\bline (\d+)(?:, column (\d+))?")


def position_in_document(entry: Entry, path: str, message: str, lines: list[str]) -> Position:
    """Return the position of *path*, such as ``secrets[0].path``, inside the document that is the value of *entry*.

    If *path* is empty, return the position of the line that *message* mentions. *lines* are those of the whole file.
    Only a literal block (``|``) keeps its lines; for any other style, return the position of the annotation itself.
    """
    node = entry.node
    if not isinstance(node, yaml.ScalarNode) or node.style != "|" or not isinstance(entry.value, str):
        return entry.position
    first = node.start_mark.line + 1
    indent = next(
        (len(lines[number]) - len(lines[number].lstrip(" ")) for number in range(first, len(lines)) if lines[number]),
        0,
    )
    inner = _position_of_path(entry.value, path) if path else _position_in_message(message)
    if inner is None:
        return entry.position
    # A key missing at the end is reported on the line after the last, which may be outside of the block.
    return Position(first + min(inner.line, len(entry.value.splitlines())), indent + inner.column)


def _position_in_message(message: str) -> Position | None:
    match = _LINE.search(message)
    return Position(int(match[1]), int(match[2] or 1)) if match else None


def _position_of_path(text: str, path: str) -> Position | None:
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return None
    mark = None
    for name, number in _STEP.findall(path):
        if number and isinstance(node, yaml.SequenceNode) and int(number) < len(node.value):
            node = node.value[int(number)]
            mark = node.start_mark
        elif found := [(key, value) for key, value in mapping_items(node) if key.value == name] if node else []:
            key, node = found[-1]
            mark = key.start_mark
        else:
            break
    return Position.of(mark) if mark else None
