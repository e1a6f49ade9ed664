"""The text of manifests → the same text with Keeper Injector's annotations. Everything else stays as it is written."""

from __future__ import annotations

import json
from collections.abc import Iterator

import attrs
import yaml

from keeper_injector_common.annotations.table import PREFIX
from keeper_injector_common.cli.manifests import Entry, Position, Workload, objects, workloads
from keeper_injector_common.cli.migrate.counterparts import (
    Annotations,
    MigrateAnnotation,
    MigrateObject,
    Unmigrated,
)
from keeper_injector_common.cli.migrate.external_secrets import migrate_external_secret
from keeper_injector_common.cli.migrate.old_names import rename_annotation
from keeper_injector_common.cli.migrate.vault_k8s import migrate_annotation as migrate_vault_annotation

_ANNOTATIONS: tuple[MigrateAnnotation, ...] = (rename_annotation, migrate_vault_annotation)
"""Tried in this order; the first that returns a counterpart wins."""
_OBJECTS: tuple[MigrateObject, ...] = (migrate_external_secret,)


@attrs.frozen
class Migrated:
    """The text of a migrated file."""

    text: str = attrs.field(repr=False)
    unmigrated: tuple[Unmigrated, ...] = ()


@attrs.frozen
class _Edit:
    """Replaces the lines *first* to *last* of the text, counted from 0."""

    first: int
    last: int
    lines: tuple[str, ...]


def migrate_text(text: str) -> Migrated:
    """Return *text* with the annotations of other tools replaced, and a document added for each of their objects.

    Raises :class:`~keeper_injector_common.cli.manifests.ManifestError` for text that is not YAML.
    """
    lines = text.splitlines()
    changes = [change for workload in workloads(text) for change in _changes(workload, lines)]
    unmigrated = [change for change in changes if isinstance(change, Unmigrated)]
    edits = [change for change in changes if isinstance(change, _Edit)]
    # From the last to the first, so that the line numbers of the remaining edits stay valid.
    for edit in sorted(edits, key=lambda item: item.first, reverse=True):
        lines[edit.first : edit.last + 1] = edit.lines
    output = "\n".join(lines) + ("\n" if lines else "")
    for node, manifest in objects(text):
        for migrate in _OBJECTS:
            if document := migrate(manifest):
                output += document.text
                position = Position.of(node.start_mark)
                unmigrated += [Unmigrated(position, message) for message in document.unmigrated]
    return Migrated(output, tuple(unmigrated))


def _changes(workload: Workload, lines: list[str]) -> Iterator[_Edit | Unmigrated]:
    """Iterate over the edits of one workload's annotations, and what has no counterpart."""
    entries = {entry.key: entry for entry in workload.entries}
    for entry in workload.entries:
        found = next(filter(None, (migrate(entry, entries) for migrate in _ANNOTATIONS)), None)
        if found is None:
            continue
        if found.unmigrated:
            yield Unmigrated(entry.position, f"{entry.key}: {found.unmigrated}")
        yield _edit(entry, found, lines)


def _edit(entry: Entry, found: Annotations, lines: list[str]) -> _Edit | Unmigrated:
    first = entry.position.line - 1
    indent = lines[first][: entry.position.column - 1]
    if indent.strip():
        message = f"{entry.key}: several annotations are in one line; write each in its own line, and migrate again"
        return Unmigrated(entry.position, message)
    values = {f"{PREFIX}{name}": json.dumps(value, ensure_ascii=False) for name, value in found.annotations.items()}
    return _Edit(first, _last_line(entry), tuple(f"{indent}{key}: {value}" for key, value in values.items()))


def _last_line(entry: Entry) -> int:
    """Return the number of the last line of an annotation's value, from 0."""
    end = entry.node.end_mark
    if end is None:
        return entry.position.line - 1
    # PyYAML's end mark of a block (| or >) is at the beginning of the next line.
    is_block = isinstance(entry.node, yaml.ScalarNode) and entry.node.style in {"|", ">"}
    return int(end.line) - 1 if is_block else int(end.line)
