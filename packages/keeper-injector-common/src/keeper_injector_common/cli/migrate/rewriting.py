"""The text of manifests → the same text with Keeper Injector's annotations. Everything else stays as it is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import attrs
import yaml

from keeper_injector_common import parsers
from keeper_injector_common.annotations.parser import read_request
from keeper_injector_common.annotations.table import PREFIX, find
from keeper_injector_common.cli.manifests import Entry, Position, objects
from keeper_injector_common.cli.migrate import vault_k8s
from keeper_injector_common.cli.migrate.annotation_maps import AnnotationMap, QuotedAnnotation, annotation_maps
from keeper_injector_common.cli.migrate.counterparts import (
    Annotations,
    MigrateAnnotation,
    MigrateObject,
    Unmigrated,
)
from keeper_injector_common.cli.migrate.external_secrets import migrate_external_secret
from keeper_injector_common.cli.migrate.old_names import rename_annotation
from keeper_injector_common.cli.migrate.text_edits import Edit, apply, ending_of, entry_lines
from keeper_injector_common.cli.migrate.titles import Titles
from keeper_injector_common.errors import Problem

_ANNOTATIONS: Mapping[str, MigrateAnnotation] = {
    PREFIX: rename_annotation,
    vault_k8s.PREFIX: vault_k8s.migrate_annotation,
}
"""What migrates annotations, by the beginning of their keys."""
_OBJECTS: tuple[MigrateObject, ...] = (migrate_external_secret,)


@attrs.frozen
class Migrated:
    """The text of a migrated file."""

    text: str = attrs.field(repr=False)
    unmigrated: tuple[Unmigrated, ...] = ()
    """In the order of their lines."""
    written: int = 0
    """How many annotations of Keeper Injector the text has now that it did not have."""


def migrate_text(text: str, titles: Titles) -> Migrated:
    """Return *text* with the annotations of other tools replaced, and a document added for each of their objects.

    Raises :class:`~keeper_injector_common.cli.manifests.ManifestError` for text that is not YAML.
    """
    lines = text.splitlines()
    unmigrated: list[Unmigrated] = []
    edits: list[Edit] = []
    written = 0
    for found in annotation_maps(text, tuple(_ANNOTATIONS)):
        for change in _changes(found, lines, titles):
            if isinstance(change, Unmigrated):
                unmigrated.append(change)
            else:
                edits.append(change.edit)
                written += change.written
    output = apply(text, edits)
    ending = next(filter(None, map(ending_of, text.splitlines(keepends=True))), "\n")
    for node, manifest in objects(text):
        for migrate in _OBJECTS:
            if document := migrate(manifest):
                output += ("" if ending_of(output.splitlines(keepends=True)[-1]) else ending) + document.text
                position = Position.of(node.start_mark)
                unmigrated += [Unmigrated(position, message) for message in document.unmigrated]
                written += 1
    return Migrated(output, tuple(sorted(unmigrated)), written)


@attrs.frozen
class _Change:
    edit: Edit
    written: int


def _changes(
    found: AnnotationMap | QuotedAnnotation, lines: list[str], titles: Titles
) -> Iterator[_Change | Unmigrated]:
    """Iterate over the edits of one mapping, and what has no counterpart."""
    if isinstance(found, QuotedAnnotation):
        message = f"{found.path}: annotations inside a text; move them to a separate file, and migrate again"
        if not found.path.endswith("last-applied-configuration"):
            yield Unmigrated(found.position, message)
        return
    entries = {entry.key: entry for entry in found.entries}
    replaced: dict[str, Annotations] = {}
    for entry in found.entries:
        migrate = next((function for prefix, function in _ANNOTATIONS.items() if entry.key.startswith(prefix)), None)
        if migrate is None or (counterpart := migrate(entry, entries, titles)) is None:
            continue
        if not found.inherited:
            advice = "pods do not get it from here; move it to spec.template.metadata.annotations, and migrate again"
            yield Unmigrated(entry.position, f"{entry.key}: {advice}")
        elif entry.repeated or entry.key in replaced:
            yield Unmigrated(entry.position, f"{entry.key}: written twice; remove one, and migrate again")
            return
        elif not isinstance(entry.node, yaml.ScalarNode):
            yield Unmigrated(entry.position, f"{entry.key}: not a text; write one")
        else:
            replaced[entry.key] = counterpart
    yield from _edits(entries, replaced, lines)


def _edits(
    entries: Mapping[str, Entry], replaced: Mapping[str, Annotations], lines: list[str]
) -> Iterator[_Change | Unmigrated]:
    one_line = [
        key for key in replaced if lines[entries[key].position.line - 1][: entries[key].position.column - 1].strip()
    ]
    if one_line:
        for key in one_line:
            message = f"{key}: several annotations are in one line; write each in its own line, and migrate again"
            yield Unmigrated(entries[key].position, message)
        return
    kept = {key: entry.text for key, entry in entries.items() if key not in replaced}
    if not replaced:
        return
    values, refused, remaining = _accepted(kept, replaced)
    for problem in remaining:
        yield Unmigrated(entries[next(iter(replaced))].position, f"the webhook would reject the pod: {problem}")
    for key, counterpart in replaced.items():
        entry = entries[key]
        for message in (*filter(None, [counterpart.unmigrated]), *refused.get(key, ())):
            yield Unmigrated(entry.position, f"{key}: {message}")
        first = entry.position.line - 1
        indent = lines[first][: entry.position.column - 1]
        new = [line for name, value in values.get(key, {}).items() for line in entry_lines(indent, name, value)]
        yield _Change(Edit(first, _last_line(entry), tuple(new)), len(values.get(key, {})))


def _accepted(
    kept: Mapping[str, str], replaced: Mapping[str, Annotations]
) -> tuple[dict[str, dict[str, str]], dict[str, list[str]], list[Problem]]:
    """Return the annotations that the webhook's parser accepts together with *kept*, and why others are not written.

    Both are by the key of the annotation that is replaced. The problems that remain are those of *kept*. A Kustomize patch may
    set a part of the annotations, so that "nothing to inject" is a problem only beside ``inject``.
    """
    origin: dict[str, str] = {}
    values: dict[str, str] = {}
    refused: dict[str, list[str]] = {}
    for key, counterpart in replaced.items():
        for name, value in counterpart.annotations.items():
            annotation = f"{PREFIX}{name}"
            if annotation in kept or annotation in values:
                refused.setdefault(key, []).append(
                    f"{annotation} is not written: it is set already; keep one of the two"
                )
            elif fault := _fault(name, value):
                refused.setdefault(key, []).append(f"{annotation} is not written: {fault}")
            else:
                origin[annotation], values[annotation] = key, value
    while True:
        problems = read_request({**kept, **values})[1]
        wrong = {problem.where.partition(": ")[0]: problem for problem in problems}
        removed = [annotation for annotation in wrong if annotation in values]
        for annotation in removed:
            message = f"{annotation} is not written: the webhook would reject it: {wrong[annotation].message}"
            refused.setdefault(origin[annotation], []).append(message)
            del values[annotation]
        if not removed:
            break
    by_key: dict[str, dict[str, str]] = {}
    for annotation, value in values.items():
        by_key.setdefault(origin[annotation], {})[annotation] = value
    remaining = [item for item in problems if item.where != f"{PREFIX}inject" or f"{PREFIX}inject" in kept]
    return by_key, refused, remaining


def _fault(name: str, value: str) -> str:
    """Return why the value is not valid by itself; empty if it is."""
    found = find(name)
    try:
        if found:
            found[0].parse(value)
    except parsers.InvalidValue as error:
        return str(error)
    return ""


def _last_line(entry: Entry) -> int:
    """Return the number of the last line of an annotation's value, from 0."""
    end = entry.node.end_mark
    if end is None:
        return entry.position.line - 1
    # PyYAML's end mark of a block (| or >) is at the beginning of the next line.
    is_block = isinstance(entry.node, yaml.ScalarNode) and entry.node.style in {"|", ">"}
    return max(int(end.line) - 1 if is_block and not end.column else int(end.line), entry.position.line - 1)
