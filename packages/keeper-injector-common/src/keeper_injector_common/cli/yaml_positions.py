"""Places inside the value of an annotation that is a YAML document itself; pure."""

from __future__ import annotations

import re

import yaml

from keeper_injector_common.cli.manifests import Entry, Place, pairs

_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_LINE = re.compile(r"\bline (\d+)(?:, column (\d+))?")


def place_inside(entry: Entry, path: str, message: str, lines: list[str]) -> Place:
    """Return the place of ``secrets[0].path`` inside the document in *entry*, or of the line that *message* names.

    *lines* are those of the whole text. Only a literal block (``|``) keeps its lines; for all else it is the annotation's.
    """
    node = entry.node
    if not isinstance(node, yaml.ScalarNode) or node.style != "|" or not isinstance(entry.value, str):
        return entry.place
    first = node.start_mark.line + 1
    indent = next(
        (len(lines[number]) - len(lines[number].lstrip(" ")) for number in range(first, len(lines)) if lines[number]),
        0,
    )
    inner = _place_of_path(entry.value, path) if path else _place_in_message(message)
    if inner is None:
        return entry.place
    # What is missing at the end is missed behind the last line.
    return Place(first + min(inner.line, len(entry.value.splitlines())), indent + inner.column)


def _place_in_message(message: str) -> Place | None:
    match = _LINE.search(message)
    return Place(int(match[1]), int(match[2] or 1)) if match else None


def _place_of_path(text: str, path: str) -> Place | None:
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return None
    mark = None
    for name, number in _STEP.findall(path):
        if number and isinstance(node, yaml.SequenceNode) and int(number) < len(node.value):
            node = node.value[int(number)]
            mark = node.start_mark
        elif found := [(key, value) for key, value in pairs(node) if key.value == name] if node else []:
            key, node = found[-1]
            mark = key.start_mark
        else:
            break
    return Place.of(mark) if mark else None
