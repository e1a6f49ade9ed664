"""The text of manifests → every mapping in it that has annotations of a tool, wherever it is.

Not only pod templates have annotations of pods: Kustomize patches may have no ``spec`` and no ``kind``, Helm values have
``podAnnotations``, and custom resources have pod templates in other places.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs
import yaml

from keeper_injector_common.cli.manifests import Entry, Position, documents, entries_of, mapping_items, objects
from keeper_injector_common.json_values import Json, as_object


@attrs.frozen
class AnnotationMap:
    """A mapping with annotations of a tool."""

    entries: tuple[Entry, ...]
    path: str
    """For example ``spec.template.metadata.annotations``."""
    inherited: bool
    """Whether pods get these annotations. Those of a Deployment itself stay on the Deployment."""


@attrs.frozen
class QuotedAnnotation:
    """A text that mentions annotations of a tool, such as a patch inside a kustomization."""

    position: Position
    path: str


def annotation_maps(text: str, prefixes: Sequence[str]) -> Iterator[AnnotationMap | QuotedAnnotation]:
    """Iterate over the mappings of *text* whose keys begin with one of *prefixes*, and over the texts that have them inside.

    Raises :class:`~keeper_injector_common.cli.manifests.ManifestError` for text that is not YAML.
    """
    # A JSON patch (RFC 6902) is a list.
    patches = [(node, Json()) for node, _ in documents(text) if isinstance(node, yaml.SequenceNode)]
    for node, manifest in (*objects(text), *patches):
        seen: set[int] = set()
        for path, found in _nodes(node, (), seen):
            if isinstance(found, yaml.MappingNode):
                entries = tuple(entries_of(found))
                if any(entry.key.startswith(tuple(prefixes)) for entry in entries):
                    yield AnnotationMap(entries, ".".join(path), _is_inherited(path, manifest))
            elif isinstance(found, yaml.ScalarNode) and _mentions(found.value, prefixes):
                yield QuotedAnnotation(Position.of(found.start_mark), ".".join(path))


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
        return manifest.get("kind") in {None, "Pod"} and "template" not in as_object(manifest.get("spec"))
    return path != ("spec", "jobTemplate", "metadata", "annotations")


def _mentions(text: str, prefixes: Sequence[str]) -> bool:
    # JSON patches (RFC 6902) write the slash as ~1.
    return any(prefix in text or prefix.replace("/", "~1") in text for prefix in prefixes)
