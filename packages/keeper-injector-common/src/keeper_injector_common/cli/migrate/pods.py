"""The text of manifests → the pods in it as nodes, wherever they are, so that their text can be edited.

Not only pod templates have annotations of pods: Kustomize patches may have no ``spec`` and no ``kind``, Helm values have
``podAnnotations``, and custom resources have pod templates in other places.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs
import yaml

from keeper_injector_common.cli.manifest_yaml import Position, documents
from keeper_injector_common.cli.manifests import Entry, entries_of, mapping_items, objects
from keeper_injector_common.json_values import Json, as_object


@attrs.frozen(eq=False)
class Item:
    """One mapping in a list of a pod: a container, a variable, a volume or a mount."""

    parent: yaml.SequenceNode = attrs.field(repr=False)
    index: int
    node: yaml.MappingNode = attrs.field(repr=False)
    content: Json
    """All scalars are texts, as they are written."""

    @property
    def name(self) -> str:
        """The text of ``name``, which most items have."""
        return text_of(self.content, "name")

    @property
    def position(self) -> Position:
        """Where the item begins."""
        return Position.of(self.node.start_mark)

    def items(self, key: str) -> list[Item]:
        """Return the items of a list in this item: ``env``, ``volumeMounts``."""
        return items_of(self.node, key)


@attrs.frozen(eq=False)
class Pod:
    """A pod, a pod template, or a part of one in a patch or in values of a chart."""

    manifest: Json = attrs.field(repr=False)
    """The object that it is in."""
    position: Position
    template: yaml.MappingNode | None = attrs.field(repr=False)
    """The mapping with ``metadata`` and ``spec``; None if only annotations are known."""
    annotations: yaml.MappingNode | None = attrs.field(repr=False)
    entries: tuple[Entry, ...]
    """The annotations."""
    path: str
    inherited: bool = True
    """Whether pods get these annotations. Those of a Deployment itself stay on the Deployment."""
    outer: yaml.MappingNode | None = attrs.field(default=None, repr=False)
    """The annotations of the workload itself, if these are others."""

    @property
    def name(self) -> str:
        """Kind and name of the object."""
        metadata = as_object(self.manifest.get("metadata"))
        return f"{self.manifest.get('kind') or 'object'}/{metadata.get('name') or '(no name)'}"

    @property
    def namespace(self) -> str:
        """The namespace of the object; empty if it is not set."""
        return str(as_object(self.manifest.get("metadata")).get("namespace") or "")

    @property
    def texts(self) -> dict[str, str]:
        """The annotations as texts."""
        return {entry.key: entry.text for entry in self.entries}

    @property
    def spec(self) -> yaml.Node | None:
        """The node of the pod's ``spec``."""
        return child(self.template, "spec")

    def containers(self) -> list[Item]:
        """Return the containers that have a name, init containers first."""
        found = [*items_of(self.spec, "initContainers"), *items_of(self.spec, "containers")]
        return [item for item in found if item.name]

    def volumes(self) -> list[Item]:
        """Return the volumes."""
        return items_of(self.spec, "volumes")


@attrs.frozen
class QuotedAnnotation:
    """A text that mentions annotations of a tool, such as a patch inside a kustomization."""

    position: Position
    path: str


def pods(text: str, prefixes: Sequence[str]) -> Iterator[Pod | QuotedAnnotation]:
    """Iterate over the pods of *text*, over other mappings whose keys begin with one of *prefixes*, and over texts with such keys.

    Raises :class:`~keeper_injector_common.cli.manifest_yaml.ManifestError` for text that is not YAML.
    """
    # A JSON patch (RFC 6902) is a list.
    patches = [(node, Json()) for node, _ in documents(text) if isinstance(node, yaml.SequenceNode)]
    for node, manifest in (*objects(text), *patches):
        known: set[int] = set()
        outer = _annotations(node)[0]
        found = list(_nodes(node, (), set()))
        for path, inner in found:
            if isinstance(inner, yaml.MappingNode) and _is_pod(inner):
                annotations, entries = _annotations(inner)
                known.add(id(annotations))
                yield Pod(
                    manifest,
                    Position.of(inner.start_mark),
                    inner,
                    annotations,
                    entries,
                    ".".join((*path, "metadata", "annotations")),
                    outer=None if inner is node else outer,
                )
        for path, inner in found:
            if isinstance(inner, yaml.MappingNode) and id(inner) not in known:
                entries = tuple(entries_of(inner))
                if any(entry.key.startswith(tuple(prefixes)) for entry in entries):
                    inherited = _is_inherited(path, manifest)
                    position = Position.of(inner.start_mark)
                    yield Pod(manifest, position, None, inner, entries, ".".join(path), inherited)
            elif isinstance(inner, yaml.ScalarNode) and _mentions(inner.value, prefixes):
                yield QuotedAnnotation(Position.of(inner.start_mark), ".".join(path))


def child(node: yaml.Node | None, *keys: str) -> yaml.Node | None:
    """Return the value of *keys*, one below the other; None if one is missing."""
    for key in keys:
        found = [value for name, value in mapping_items(node) if name.value == key] if node else []
        node = found[-1] if found else None
    return node


def entries_by_key(pod: Pod, prefix: str) -> dict[str, Entry]:
    """Return the annotations of *pod* that begin with *prefix*, by the rest of their keys."""
    return {entry.key.removeprefix(prefix): entry for entry in pod.entries if entry.key.startswith(prefix)}


def items_of(node: yaml.Node | None, key: str) -> list[Item]:
    """Return the mappings in the list *key* of a mapping."""
    found = child(node, key)
    if not isinstance(found, yaml.SequenceNode):
        return []
    return [
        Item(found, index, item, as_object(plain(item)))
        for index, item in enumerate(found.value)
        if isinstance(item, yaml.MappingNode)
    ]


def plain(node: yaml.Node | None, known: dict[int, object] | None = None) -> object:
    """Return the value of a node with all scalars as the texts that are written. A value inside itself is None there."""
    known = {} if known is None else known
    if node is None or id(node) in known:
        return known.get(id(node))
    known[id(node)] = None
    found: object = None
    if isinstance(node, yaml.ScalarNode):
        found = None if node.tag == "tag:yaml.org,2002:null" else str(node.value)
    elif isinstance(node, yaml.SequenceNode):
        found = [plain(item, known) for item in node.value]
    else:
        found = {key.value: plain(value, known) for key, value in mapping_items(node)}
    known[id(node)] = found
    return found


def text_of(content: Json, *keys: str) -> str:
    """Return the text at *keys*, one below the other; empty if it is missing or not a text."""
    found: object = content
    for key in keys:
        found = as_object(found).get(key)
    return found if isinstance(found, str) else ""


def _annotations(node: yaml.Node) -> tuple[yaml.MappingNode | None, tuple[Entry, ...]]:
    found = child(node, "metadata", "annotations")
    return (found, tuple(entries_of(found))) if isinstance(found, yaml.MappingNode) else (None, ())


def _is_pod(node: yaml.MappingNode) -> bool:
    spec = child(node, "spec")
    return any(isinstance(child(spec, key), yaml.SequenceNode) for key in ("containers", "initContainers"))


def _nodes(node: yaml.Node, path: tuple[str, ...], seen: set[int]) -> Iterator[tuple[tuple[str, ...], yaml.Node]]:
    """Iterate over *node* and all nodes below it, each once although aliases may repeat it."""
    if id(node) in seen:
        return
    seen.add(id(node))
    yield path, node
    for key, value in mapping_items(node):
        yield from _nodes(value, (*path, key.value), seen)
    if isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield from _nodes(value, (*path[:-1], f"{path[-1] if path else ''}[{number}]"), seen)


def _is_inherited(path: tuple[str, ...], manifest: Json) -> bool:
    if path[-1:] == ("labels",):
        return False
    if path == ("metadata", "annotations"):
        return str(manifest.get("kind") or "Pod") == "Pod" and "template" not in as_object(manifest.get("spec"))
    return path != ("spec", "jobTemplate", "metadata", "annotations")


def _mentions(text: str, prefixes: Sequence[str]) -> bool:
    # JSON patches (RFC 6902) write the slash as ~1.
    return any(prefix in text or prefix.replace("/", "~1") in text for prefix in prefixes)
