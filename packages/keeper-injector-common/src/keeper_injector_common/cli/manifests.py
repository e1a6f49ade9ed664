"""The text of manifests → the workloads in it, with the position of each annotation; no I/O.

A workload is a Pod or any object with a pod template: Deployment, StatefulSet, DaemonSet, ReplicaSet, Job, CronJob, and
custom resources. The items of Lists are read too. Positions are PyYAML's, counted from 1 as editors do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import attrs
import yaml

from keeper_injector_common.annotations.table import PREFIX
from keeper_injector_common.cli.manifest_yaml import Position, documents
from keeper_injector_common.json_values import Json, as_object

_MAX_LIST_DEPTH = 3
"""Lists inside Lists are rare, and without a limit a List that contains itself by an alias would never end."""


@attrs.frozen
class Entry:
    """An annotation as it is written in the manifest."""

    key: str
    value: object
    """A string if the annotation is valid. YAML reads values without quotes as booleans or numbers."""
    position: Position
    node: yaml.Node = attrs.field(repr=False, eq=False)
    repeated: bool = False
    """Whether the same mapping has an earlier entry with this key."""

    @property
    def text(self) -> str:
        """The value as it is written: ``1000`` and ``true`` too, without quotes; empty for null, lists and mappings."""
        is_text = isinstance(self.node, yaml.ScalarNode) and self.node.tag != "tag:yaml.org,2002:null"
        return str(self.node.value) if is_text else ""


@attrs.frozen
class Workload:
    """An object that creates pods, and the annotations of these pods."""

    manifest: Json = attrs.field(repr=False)
    position: Position
    entries: tuple[Entry, ...]
    """The annotations of the pod template."""
    misplaced: tuple[Entry, ...] = ()
    """Keeper Injector's annotations that pods do not inherit: on the workload itself, or written as labels."""
    source: str = ""
    """The template of the Helm chart that the manifest was rendered from, from ``helm template``'s comment."""

    @property
    def kind(self) -> str:
        """The kind of the object."""
        return str(self.manifest.get("kind") or "object")

    @property
    def name(self) -> str:
        """Kind and name, for example ``Deployment/shop``."""
        metadata = as_object(self.manifest.get("metadata"))
        return f"{self.kind}/{metadata.get('name') or metadata.get('generateName') or '(no name)'}"

    @property
    def label(self) -> str:
        """The name, followed by the chart's template if it is known."""
        return f"{self.name} ({self.source})" if self.source else self.name

    @property
    def annotations(self) -> dict[str, str]:
        """The annotations of the pod template that are strings; the API server rejects all others."""
        return {entry.key: entry.value for entry in self.entries if isinstance(entry.value, str)}

    @property
    def template(self) -> Json:
        """The pod template, or the manifest itself if it is a Pod; empty if it is missing."""
        return _pod(self.manifest)

    @property
    def template_path(self) -> str:
        """The path of the pod template, for example ``spec.template``; empty if the manifest is a Pod."""
        return ".".join(_path_of_pod(self.manifest) or ())

    @property
    def pod_spec(self) -> Json:
        """The spec of the pod template; empty if it is missing."""
        return as_object(self.template.get("spec"))

    def containers(self) -> tuple[Json, ...]:
        """Return the containers that have a name: init containers first, in the order in which they start."""
        lists = (self.pod_spec.get(key) for key in ("initContainers", "containers"))
        items = [item for found in lists if isinstance(found, list) for item in found]
        return tuple(item for item in items if isinstance(item, dict) and item.get("name"))

    def injector_entries(self) -> tuple[Entry, ...]:
        """Return the annotations of the pod template that are Keeper Injector's."""
        return tuple(entry for entry in self.entries if entry.key.startswith(PREFIX))

    def last_entry(self, key: str) -> Entry | None:
        """Return the annotation *key*, or None. If it is written several times, the last one counts."""
        found = [entry for entry in self.entries if entry.key == key]
        return found[-1] if found else None


def objects(text: str) -> Iterator[tuple[yaml.Node, Json]]:
    """Iterate over the objects of *text* and the items of Lists; raise :class:`ManifestError` for invalid YAML."""
    for node, value in documents(text):
        yield from _objects(node, value, _MAX_LIST_DEPTH)


def workloads(text: str) -> Iterator[Workload]:
    """Iterate over the workloads of *text*; raise :class:`ManifestError` for invalid YAML."""
    lines = text.splitlines()
    for node, manifest in objects(text):
        path = _path_of_pod(manifest)
        if path is None:
            continue
        misplaced: list[Entry] = []
        for outer in _outer_paths(path):
            misplaced += _injector_entries(_entries(node, (*outer, "metadata", "annotations")))
        for holder in (*_outer_paths(path), path):
            misplaced += _injector_entries(_entries(node, (*holder, "metadata", "labels")))
        yield Workload(
            manifest,
            Position.of(node.start_mark),
            tuple(_entries(node, (*path, "metadata", "annotations"))),
            tuple(misplaced),
            _source(lines, node.start_mark.line),
        )


def _entries(node: yaml.Node, path: tuple[str, ...]) -> Iterator[Entry]:
    """Iterate over the entries of the mapping at *path* below *node*."""
    for key in path:
        found = [value for name, value in mapping_items(node) if name.value == key]
        if not found:
            return
        node = found[-1]
    yield from entries_of(node)


def entries_of(node: yaml.Node) -> Iterator[Entry]:
    """Iterate over the entries of a mapping; a node that is not a mapping has no entries."""
    seen: set[str] = set()
    for key_node, value_node in mapping_items(node):
        yield Entry(
            key_node.value, _plain(value_node), Position.of(key_node.start_mark), value_node, key_node.value in seen
        )
        seen.add(key_node.value)


def _objects(node: yaml.Node, value: object, depth: int) -> Iterator[tuple[yaml.Node, Json]]:
    if not isinstance(value, dict) or not isinstance(node, yaml.MappingNode):
        return
    kind = str(value.get("kind", ""))
    if not kind.endswith("List") or not isinstance(value.get("items"), list):
        yield node, value
        return
    # The API server omits the kind of each item: the items of a PodList are Pods.
    kind_of_items = {"kind": kind.removesuffix("List")} if kind != "List" else {}
    nodes = next(item for name, item in mapping_items(node) if name.value == "items")
    for inner_node, inner in zip(nodes.value, value["items"], strict=True) if depth else ():
        yield from _objects(inner_node, {**kind_of_items, **inner} if isinstance(inner, dict) else inner, depth - 1)


def mapping_items(node: yaml.Node) -> list[tuple[yaml.ScalarNode, yaml.Node]]:
    """Return the keys and values of a mapping node; empty for any other node."""
    if not isinstance(node, yaml.MappingNode):
        return []
    return [(key, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)]


def _plain(node: yaml.Node) -> object:
    """Return the value of a node: exact for strings, booleans and null, and an example of the type for all others."""
    if not isinstance(node, yaml.ScalarNode):
        return [] if isinstance(node, yaml.SequenceNode) else {}
    if node.tag == "tag:yaml.org,2002:str":
        return node.value
    return {"tag:yaml.org,2002:bool": True, "tag:yaml.org,2002:null": None}.get(node.tag, 0)


def _path_of_pod(manifest: Json) -> tuple[str, ...] | None:
    """Return the path of the pod template, or None if the object creates no pods."""
    match manifest.get("kind"):
        case "Pod":
            return ()
        case "PodTemplate":
            return ("template",)
        case "CronJob":
            return ("spec", "jobTemplate", "spec", "template")
        case _:
            return _path_of_template(manifest)


def _path_of_template(manifest: Json) -> tuple[str, ...] | None:
    template = as_object(manifest.get("spec")).get("template")
    # Some kinds have templates of other objects, for example of Secrets. The template of a pod has a spec, or at least
    # annotations of Keeper Injector.
    annotations = as_object(as_object(as_object(template).get("metadata")).get("annotations"))
    is_pod_template = "spec" in as_object(template) or any(map(_is_injector_key, annotations))
    return ("spec", "template") if is_pod_template else None


def _outer_paths(path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Iterate over the paths above the pod template that have their own metadata."""
    for length in range(len(path)):
        if path[:length] in {(), ("spec", "jobTemplate")}:
            yield path[:length]


def _pod(manifest: Json) -> Json:
    found: object = manifest
    for key in _path_of_pod(manifest) or ():
        found = as_object(found).get(key)
    return as_object(found)


def _is_injector_key(key: object) -> bool:
    return isinstance(key, str) and key.startswith(PREFIX)


def _injector_entries(found: Iterator[Entry]) -> list[Entry]:
    return [entry for entry in found if _is_injector_key(entry.key)]


_SOURCE = re.compile(r"# Source: (\S+)")


def _source(lines: list[str], start: int) -> str:
    for line in reversed(lines[max(0, start - 10) : start]):
        if match := _SOURCE.match(line):
            return match[1]
        if line.startswith("---"):
            break
    return ""
