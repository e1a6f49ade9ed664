"""The text of manifests → the workloads in it, with the position of each annotation; no I/O.

A workload is a Pod or any object with a pod template: Deployment, StatefulSet, DaemonSet, ReplicaSet, Job, CronJob, and
custom resources. The items of Lists are read too. Positions are PyYAML's, counted from 1 as editors do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import attrs
import yaml

from keeper_injector_common.annotations.table import PREFIX
from keeper_injector_common.errors import explain
from keeper_injector_common.json_values import Json, as_object

_MAX_LIST_DEPTH = 3
"""Lists inside Lists are rare, and without a limit a List that contains itself by an alias would never end."""


_MOST_NODES = 1_000_000
"""The largest CustomResourceDefinitions have 100,000. Without a limit, few lines with aliases stand for more than fits in memory."""


class ManifestError(Exception):
    """The text is not valid YAML; the message has the form ``FOUND; WHAT TO DO``."""

    def __init__(self, found: str, right: str, position: Position) -> None:
        self.found = found
        self.right = right
        self.position = position
        super().__init__(explain(found, right))


@attrs.frozen(order=True)
class Position:
    """A line and a column of a text, both counted from 1."""

    line: int = 1
    column: int = 1

    @classmethod
    def of(cls, mark: Any) -> Position:
        """Return the position of a PyYAML mark, or the start of the text if there is no mark."""
        return cls(mark.line + 1, mark.column + 1) if mark else cls()


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


class _Loader(yaml.SafeLoader):
    """Reads YAML as Kubernetes does: dates are strings.

    Tags of other tools are accepted, and so is the bare ``=`` in some CustomResourceDefinitions. Tabs between and after
    values are blanks, as for kubectl, whose library (go-yaml) has the same condition in ``yaml_parser_scan_to_next_token``.
    A tab is not an indentation.
    """

    def scan_to_next_token(self) -> None:
        """Skip blanks, comments and line breaks."""
        super().scan_to_next_token()
        while self.peek() == "\t" and (self.flow_level or not self.allow_simple_key):
            self.forward(len(_blanks(self)))
            super().scan_to_next_token()

    def scan_plain_spaces(self, indent: Any, start_mark: Any) -> Any:
        """Return what is between two words of a text without quotes."""
        blanks = _blanks(self)
        if "\t" not in blanks:
            return super().scan_plain_spaces(indent, start_mark)
        self.forward(len(blanks))
        return super().scan_plain_spaces(indent, start_mark) if self.peek() in "\r\n\x85\u2028\u2029" else [blanks]


def _tagged(_loader: _Loader, _suffix: str, _node: yaml.Node) -> None:
    """Read a value with the tag of another tool as None."""


def _equals_sign(loader: _Loader, node: yaml.ScalarNode) -> object:
    return loader.construct_scalar(node)


def _blanks(loader: _Loader) -> str:
    """Return the spaces and tabs at the loader's position."""
    length = 0
    while loader.peek(length) in " \t":
        length += 1
    return str(loader.prefix(length))


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:timestamp"]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_multi_constructor("!", _tagged)
_Loader.add_constructor("tag:yaml.org,2002:value", _equals_sign)


class _UnicodeLoader(_Loader):
    """Reads the escapes of JSON as API servers do, which PyYAML does not: pairs of surrogates are one character.

    A lone surrogate is U+FFFD, as in Go, because it cannot be written as UTF-8.
    """

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        """Return the node of a text."""
        node = super().compose_scalar_node(anchor)
        node.value = node.value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return node


def documents(text: str) -> Iterator[tuple[yaml.Node, object]]:
    """Iterate over the documents of *text*, as nodes and as values; raise :class:`ManifestError` for invalid YAML."""
    try:
        loader = _UnicodeLoader(text)
        while (node := loader.get_node() if loader.check_node() else None) is not None:
            if _size(node, {}) > _MOST_NODES:
                position = Position.of(node.start_mark)
                raise ManifestError(f"more than {_MOST_NODES} values through aliases", "reduce them", position)
            yield node, loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        position = Position.of(error.problem_mark or error.context_mark)
        advice = "render the chart first: helm template" if "{{" in text else "correct it there"
        raise ManifestError(f"not valid YAML: {error.problem or error.context}", advice, position) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ManifestError(f"not valid YAML: {error.reason}", "remove them", Position(line)) from None
    except RecursionError:
        raise ManifestError("nested too deeply to be a manifest", "flatten it", Position()) from None
    except ValueError:
        # PyYAML raises ValueError for dates and numbers that do not exist, such as 2024-13-45.
        raise ManifestError("not valid YAML: a date or number that does not exist", "quote it", Position()) from None


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """Return how many nodes *node* has if each alias is replaced by its value. A value inside itself counts once."""
    if id(node) not in known:
        known[id(node)] = 1
        if isinstance(node, yaml.CollectionNode):
            children = (part for item in node.value for part in (item if isinstance(item, tuple) else (item,)))
            known[id(node)] += sum(_size(child, known) for child in children)
    return known[id(node)]


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
