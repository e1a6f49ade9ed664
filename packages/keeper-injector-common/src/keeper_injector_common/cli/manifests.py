"""Text of manifests → the workloads in it, each with the places of its annotations; pure.

A workload is a Pod, or whatever has the template of one: Deployment, StatefulSet, DaemonSet, ReplicaSet, Job, CronJob, and
kinds that are not Kubernetes' own. Lists are looked into. Places are those of PyYAML's nodes, counted from 1 as editors do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import attrs
import yaml

from keeper_injector_common.annotations.table import PREFIX
from keeper_injector_common.json_values import Json, as_object

DEEPEST_LIST = 3
"""A List inside a List is odd, and one that holds itself by an alias would never end."""


class UnreadableManifest(Exception):  # noqa: N818 - named for what it is
    """A text that is no YAML; the message reads ``found; right``."""

    def __init__(self, message: str, place: Place) -> None:
        self.place = place
        super().__init__(message)


@attrs.frozen(order=True)
class Place:
    """A line and a column, both from 1."""

    line: int = 1
    column: int = 1

    @classmethod
    def of(cls, mark: Any) -> Place:
        """Return the place of one of PyYAML's marks."""
        return cls(mark.line + 1, mark.column + 1) if mark else cls()


@attrs.frozen
class Entry:
    """One annotation as written."""

    key: str
    value: object
    """Text when it is right; YAML makes booleans and numbers of what has no quotes."""
    place: Place
    node: yaml.Node = attrs.field(repr=False, eq=False)
    repeated: bool = False
    """Whether the key was written before in the same mapping."""


@attrs.frozen
class Workload:
    """What makes pods, and the annotations that these will carry."""

    manifest: Json = attrs.field(repr=False)
    place: Place
    entries: tuple[Entry, ...]
    """The pod's own annotations."""
    misplaced: tuple[Entry, ...] = ()
    """Annotations and labels of ours where no pod inherits them."""
    source: str = ""
    """The file that ``helm template`` says the manifest is from."""

    @property
    def kind(self) -> str:
        """The manifest's kind."""
        return str(self.manifest.get("kind") or "object")

    @property
    def name(self) -> str:
        """Kind and name, as ``kubectl`` writes them."""
        metadata = as_object(self.manifest.get("metadata"))
        return f"{self.kind}/{metadata.get('name') or metadata.get('generateName') or '(no name)'}"

    @property
    def label(self) -> str:
        """The name, with the chart's file when that is known."""
        return f"{self.name} ({self.source})" if self.source else self.name

    @property
    def annotations(self) -> dict[str, str]:
        """The pod's annotations that are text, as a cluster would take them."""
        return {entry.key: entry.value for entry in self.entries if isinstance(entry.value, str)}

    @property
    def template(self) -> Json:
        """The pods' metadata and spec, as far as the manifest has them; the manifest itself when it is a Pod."""
        return _pod(self.manifest)

    @property
    def template_path(self) -> str:
        """Where in the manifest the pods' metadata and spec stand; empty when it is a Pod."""
        return ".".join(_path_of_pod(self.manifest) or ())

    @property
    def pod_spec(self) -> Json:
        """The spec of the pods, as far as the manifest has one."""
        return as_object(self.template.get("spec"))

    def containers(self) -> tuple[Json, ...]:
        """Return the pods' containers that have a name, init containers first, as they start."""
        lists = (self.pod_spec.get(key) for key in ("initContainers", "containers"))
        items = [item for found in lists if isinstance(found, list) for item in found]
        return tuple(item for item in items if isinstance(item, dict) and item.get("name"))

    def ours(self) -> tuple[Entry, ...]:
        """Return the pod's annotations that are for Keeper Injector."""
        return tuple(entry for entry in self.entries if entry.key.startswith(PREFIX))

    def entry(self, key: str) -> Entry | None:
        """Return the annotation *key*; of several, the one that counts."""
        found = [entry for entry in self.entries if entry.key == key]
        return found[-1] if found else None


class _Loader(yaml.SafeLoader):
    """Reads YAML as Kubernetes does, to which dates are text; takes tags of other tools, and the bare ``=`` of some definitions."""


def _tagged(_loader: _Loader, _suffix: str, _node: yaml.Node) -> None:
    """Take the value of a tag that only another tool knows as none."""


def _equals_sign(loader: _Loader, node: yaml.ScalarNode) -> object:
    return loader.construct_scalar(node)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:timestamp"]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_multi_constructor("!", _tagged)
_Loader.add_constructor("tag:yaml.org,2002:value", _equals_sign)


def documents(text: str) -> Iterator[tuple[yaml.Node, object]]:
    """Iterate over the documents of *text*, as nodes and as values; raises :class:`UnreadableManifest`."""
    try:
        loader = _Loader(text)
        while (node := loader.get_node() if loader.check_node() else None) is not None:
            yield node, loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        place = Place.of(error.problem_mark or error.context_mark)
        advice = "render the chart first: helm template" if "{{" in text else "correct it there"
        raise UnreadableManifest(f"not valid YAML: {error.problem or error.context}; {advice}", place) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise UnreadableManifest(f"not valid YAML: {error.reason}; remove them", Place(line)) from None
    except RecursionError:
        raise UnreadableManifest("nested too deeply to be a manifest; flatten it", Place()) from None
    except ValueError:
        # What PyYAML's constructors raise for dates and numbers that do not exist.
        raise UnreadableManifest("not valid YAML: a date or number that does not exist; quote it", Place()) from None


def objects(text: str) -> Iterator[tuple[yaml.Node, Json]]:
    """Iterate over all objects of *text*, those of Lists too; raises :class:`UnreadableManifest`."""
    for node, value in documents(text):
        yield from _objects(node, value, DEEPEST_LIST)


def workloads(text: str) -> Iterator[Workload]:
    """Iterate over the workloads of *text*; raises :class:`UnreadableManifest`."""
    lines = text.splitlines()
    for node, manifest in objects(text):
        path = _path_of_pod(manifest)
        if path is None:
            continue
        misplaced: list[Entry] = []
        for outer in _outer_paths(path):
            misplaced += _ours(entries(node, (*outer, "metadata", "annotations")))
        for holder in (*_outer_paths(path), path):
            misplaced += _ours(entries(node, (*holder, "metadata", "labels")))
        yield Workload(
            manifest,
            Place.of(node.start_mark),
            tuple(entries(node, (*path, "metadata", "annotations"))),
            tuple(misplaced),
            _source(lines, node.start_mark.line),
        )


def entries(node: yaml.Node, path: tuple[str, ...]) -> Iterator[Entry]:
    """Iterate over the entries of the mapping at *path* below *node*."""
    for key in path:
        found = [value for name, value in pairs(node) if name.value == key]
        if not found:
            return
        node = found[-1]
    seen: set[str] = set()
    for key_node, value_node in pairs(node):
        yield Entry(
            key_node.value, _plain(value_node), Place.of(key_node.start_mark), value_node, key_node.value in seen
        )
        seen.add(key_node.value)


def _objects(node: yaml.Node, value: object, depth: int) -> Iterator[tuple[yaml.Node, Json]]:
    if not isinstance(value, dict) or not isinstance(node, yaml.MappingNode):
        return
    kind = str(value.get("kind", ""))
    if not kind.endswith("List") or not isinstance(value.get("items"), list):
        yield node, value
        return
    # API servers leave out the kind of each Pod in a PodList.
    same = {"kind": kind.removesuffix("List")} if kind != "List" else {}
    nodes = next(item for name, item in pairs(node) if name.value == "items")
    for inner_node, inner in zip(nodes.value, value["items"], strict=True) if depth else ():
        yield from _objects(inner_node, {**same, **inner} if isinstance(inner, dict) else inner, depth - 1)


def pairs(node: yaml.Node) -> list[tuple[yaml.ScalarNode, yaml.Node]]:
    """Return the keys and values of a mapping; nothing for any other node."""
    if not isinstance(node, yaml.MappingNode):
        return []
    return [(key, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)]


def _plain(node: yaml.Node) -> object:
    """Return the value of a node that should be text."""
    if not isinstance(node, yaml.ScalarNode):
        return [] if isinstance(node, yaml.SequenceNode) else {}
    if node.tag == "tag:yaml.org,2002:str":
        return node.value
    return {"tag:yaml.org,2002:bool": True, "tag:yaml.org,2002:null": None}.get(node.tag, 0)


def _path_of_pod(manifest: Json) -> tuple[str, ...] | None:
    """Return where below the manifest the pod's metadata and spec stand; None when it makes no pods."""
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
    # Other kinds have templates too, of Secrets for instance: a pod's has a spec, or annotations of ours.
    ours = [
        key for key in as_object(as_object(as_object(template).get("metadata")).get("annotations")) if _is_ours(key)
    ]
    return ("spec", "template") if "spec" in as_object(template) or ours else None


def _outer_paths(path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Iterate over the places above the pod's that have metadata of their own."""
    for length in range(len(path)):
        if path[:length] in {(), ("spec", "jobTemplate")}:
            yield path[:length]


def _pod(manifest: Json) -> Json:
    found: object = manifest
    for key in _path_of_pod(manifest) or ():
        found = as_object(found).get(key)
    return as_object(found)


def _is_ours(key: object) -> bool:
    return isinstance(key, str) and key.startswith(PREFIX)


def _ours(found: Iterator[Entry]) -> list[Entry]:
    return [entry for entry in found if _is_ours(entry.key)]


_SOURCE = re.compile(r"# Source: (\S+)")


def _source(lines: list[str], start: int) -> str:
    for line in reversed(lines[max(0, start - 10) : start]):
        if match := _SOURCE.match(line):
            return match[1]
        if line.startswith("---"):
            break
    return ""
