"""The text of manifests → the same text with Keeper Injector's annotations. Everything else stays as it is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs
import yaml

from keeper_injector_common.annotations.table import PREFIX
from keeper_injector_common.cli.manifest_yaml import ManifestError, Position, documents
from keeper_injector_common.cli.manifests import objects
from keeper_injector_common.cli.migrate.accepted import CONFIG, Accepted, accept
from keeper_injector_common.cli.migrate.pods import Pod, QuotedAnnotation, child, pods
from keeper_injector_common.cli.migrate.run import Run
from keeper_injector_common.cli.migrate.tools import DEFAULT_TOOLS
from keeper_injector_common.cli.migrate.variables import settings_for, without_command
from keeper_injector_common.cli.migrate.wanted import Removal, Setting, Tool, Unmigrated, Wanted, merged
from keeper_injector_common.cli.migrate.yaml_edits import Content, Editor, UneditableError, ending_of


@attrs.frozen
class Migrated:
    """The text of a migrated file."""

    text: str = attrs.field(repr=False)
    unmigrated: tuple[Unmigrated, ...] = ()
    """In the order of their lines."""
    written: int = 0
    """How many annotations, and entries of ``config``, the text has now that it did not have."""


def migrate_files(texts: Sequence[str], run: Run, tools: Sequence[Tool] = DEFAULT_TOOLS) -> list[Migrated]:
    """Return the migrated files of one run.

    They are migrated twice, because the titles of records and the users of Secrets follow from all of them.
    Raises :class:`~keeper_injector_common.cli.manifest_yaml.ManifestError` for text that is not YAML.
    """
    for text in texts:
        run.read(text)
    for text in texts:
        migrate_text(text, run, tools)
    run.titles.settle()
    return [migrate_text(text, run, tools) for text in texts]


def migrate_text(text: str, run: Run, tools: Sequence[Tool] = DEFAULT_TOOLS) -> Migrated:
    """Return *text* with what *tools* gave to pods as annotations, and a document added for each object that no pod uses.

    Raises :class:`~keeper_injector_common.cli.manifest_yaml.ManifestError` for text that is not YAML.
    """
    unmigrated: list[Unmigrated] = []
    editor = Editor(text)
    written = 0
    prefixes = tuple(prefix for tool in tools for prefix in tool.prefixes)
    for found in pods(text, prefixes) if text.strip() else ():
        if isinstance(found, QuotedAnnotation):
            unmigrated += _quoted(found)
            continue
        wanted = merged(tool.wants(found, run) for tool in tools if tool.wants)
        unmigrated += wanted.remarks
        saved = editor.save()
        try:
            count, remarks = _rewrite(found, wanted, editor)
        except UneditableError as error:
            editor.restore(saved)
            unmigrated.append(Unmigrated(found.position, f"{found.name}: not migrated: {error}, and migrate again"))
        else:
            written += count
            unmigrated += remarks
    output = editor.result()
    if not _is_intact(text, output):
        reason = "the text cannot be edited where it is; write it in the block style of YAML, and migrate again"
        return Migrated(text, (Unmigrated(Position(), reason),))
    ending = next(filter(None, map(ending_of, text.splitlines(keepends=True))), "\n")
    for node, manifest in objects(text):
        for tool in tools:
            if tool.migrate_object and (document := tool.migrate_object(manifest, run)):
                added = document.text.replace("\n", ending)
                output += ("" if ending_of(output.splitlines(keepends=True)[-1]) else ending) + added if added else ""
                position = Position.of(node.start_mark)
                unmigrated += [Unmigrated(position, message) for message in document.unmigrated]
                written += bool(added)
    return Migrated(output, tuple(sorted(set(unmigrated))), written)


def _quoted(found: QuotedAnnotation) -> Iterator[Unmigrated]:
    if not found.path.endswith("last-applied-configuration"):
        message = f"{found.path}: annotations inside a text; move them to a separate file, and migrate again"
        yield Unmigrated(found.position, message)


def _rewrite(pod: Pod, wanted: Wanted, editor: Editor) -> tuple[int, list[Unmigrated]]:
    """Change the annotations of *pod*; return how many were written, and what the user must do.

    Raises :class:`~keeper_injector_common.cli.migrate.yaml_edits.UneditableError`.
    """
    origins = wanted.origins
    replaced = {*wanted.replaced, *(item.index for item in origins if item.index is not None)}
    if not origins and not replaced and not wanted.removals:
        return 0, []
    kept = {entry.key: entry.text for index, entry in enumerate(pod.entries) if index not in replaced}
    settings, refused_variables = settings_for(pod, wanted, kept)
    if (wanted.entries or wanted.variables) and f"{PREFIX}inject" not in kept:
        first = wanted.origins[-1]
        if not any(item.name == "inject" for item in settings):
            settings = [Setting("inject", "true", attrs.evolve(first, removals=())), *settings]
    accepted = accept(kept, settings, wanted.entries)
    refused = [*refused_variables, *accepted.refused]
    remarks = [Unmigrated(origin.position, f"{origin.label}: {reason}") for origin, reason in refused]
    if replaced or accepted.settings or accepted.entries:
        reason = "the webhook would reject the pod"
        remarks += [Unmigrated(pod.position, f"{reason}: {problem}") for problem in accepted.remaining]
    failed = {id(removal) for origin, _ in refused for removal in origin.removals}
    set_now = {**kept, **{f"{PREFIX}{item.name}": item.value for item in accepted.settings}}
    remarks += without_command(pod, wanted.variables, set_now.get(f"{PREFIX}containers", ""))
    for variable in wanted.variables:
        if set_now.get(f"{PREFIX}env-{variable.name}") != variable.reference:
            failed |= {id(removal) for removal in variable.origin.removals}
    removals = [*wanted.removals, *(item for origin in origins for item in origin.removals if id(item) not in failed)]
    for removal in removals:
        editor.remove(removal.parent, removal.index)
    if pod.annotations:
        for index in replaced:
            editor.remove(pod.annotations, _number(pod, index))
    _add(pod, accepted, sorted(replaced), editor)
    _prune(pod.template, removals, editor)
    return len(accepted.settings) + len(accepted.entries), remarks


def _number(pod: Pod, index: int) -> int:
    """Return the index of an annotation among all entries of its mapping, whose keys may be lists too."""
    if not pod.annotations:
        return index
    scalars = [number for number, (key, _) in enumerate(pod.annotations.value) if isinstance(key, yaml.ScalarNode)]
    return scalars[index]


def _add(pod: Pod, accepted: Accepted, replaced: list[int], editor: Editor) -> None:
    entries: list[tuple[int | None, str, str]] = [
        (item.origin.index, f"{PREFIX}{item.name}", item.value) for item in accepted.settings
    ]
    if accepted.entries:
        entries.append((None, CONFIG, accepted.config))
    if not entries:
        return
    if pod.annotations:
        last = _number(pod, replaced[-1]) if replaced else len(pod.annotations.value)
        for index, key, value in entries:
            editor.add(pod.annotations, last if index is None else _number(pod, index), key, value)
        return
    content: Content = {key: value for _, key, value in entries}
    if pod.template is None:
        return
    metadata = child(pod.template, "metadata")
    if isinstance(metadata, yaml.MappingNode):
        _put(metadata, "annotations", content, editor)
    else:
        _put(pod.template, "metadata", {"annotations": content}, editor)


def _put(node: yaml.MappingNode, key: str, content: Content, editor: Editor) -> None:
    """Set an entry of a mapping that is missing or null."""
    keys = [name.value if isinstance(name, yaml.ScalarNode) else None for name, _ in node.value]
    index = keys.index(key) if key in keys else keys.index("spec") if "spec" in keys else len(keys)
    if key in keys:
        editor.remove(node, index)
    editor.add(node, index, key, content)


def _prune(template: yaml.Node | None, removals: Sequence[Removal], editor: Editor) -> None:
    """Remove the keys whose lists are empty now."""
    emptied = {id(item.parent) for item in removals if editor.removed_all(item.parent)}
    waiting, seen = [template] if template and emptied else [], set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            for index, (_, value) in enumerate(node.value):
                if id(value) in emptied:
                    editor.remove(node, index)
                waiting.append(value)
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value


def _is_intact(old: str, new: str) -> bool:
    """Return whether the new text is still YAML, with as many documents; a document without entries may be missing."""
    if old == new:
        return True
    try:
        return len(list(documents(new))) <= len(list(documents(old)))
    except ManifestError:
        return False
