"""A read-only view of a pod's raw JSON.

The JSON is not decoded into typed models: these drop fields that they do not know, and several other injectors damaged the
sidecars of their users that way.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import attrs

from keeper_injector_common.annotations.table import PREFIX
from keeper_injector_common.json_values import Json
from keeper_injector_webhook.admission.names import FOREIGN_ANNOTATIONS
from keeper_injector_webhook.errors import ReviewError

MOST_READ = 200
"""Containers of a pod that are read; :mod:`.limits` reports a pod that has more."""
_MOST_OWNERS = 32
_KINDS = ("initContainers", "containers")


@attrs.frozen(eq=False)
class Container:
    """One container of a pod and its position. Only the same object is equal."""

    kind: str
    """``containers`` or ``initContainers``."""
    index: int
    raw: Json = attrs.field(repr=False)
    name: str = attrs.field(init=False)

    @name.default
    def _name(self) -> str:
        return text_at(self.raw, "name")

    @property
    def pointer(self) -> str:
        """The JSON Pointer to the container in the pod (RFC 6901)."""
        return f"/spec/{self.kind}/{self.index}"

    @property
    def mounts(self) -> list[Json]:
        """The container's volume mounts."""
        return list_at(self.raw, "volumeMounts")

    @property
    def devices(self) -> list[Json]:
        """The container's block devices."""
        return list_at(self.raw, "volumeDevices")

    @property
    def command(self) -> list[str]:
        """The container's command; empty if it uses the image's."""
        value = self.raw.get("command")
        if not value:
            return []
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ReviewError("request.object: command is not a list of strings")
        return value

    @property
    def variables(self) -> list[Json]:
        """The ``env`` entries of the container."""
        return list_at(self.raw, "env")

    @property
    def sources_of_variables(self) -> list[Json]:
        """``valueFrom`` of the ``env`` entries that have it."""
        entries = self.raw.get("env")
        # Most containers have none, which one pass tells. Pods may have hundreds of variables.
        if isinstance(entries, list) and not [
            item for item in entries if type(item) is not dict or "valueFrom" in item
        ]:
            return []
        return [object_at(item, "valueFrom") for item in self.variables if "valueFrom" in item]

    @property
    def ports(self) -> list[Json]:
        """The ports that the container declares."""
        return list_at(self.raw, "ports")

    @property
    def resources(self) -> Json:
        """The container's requests and limits."""
        return object_at(self.raw, "resources")

    def security(self, key: str) -> Any:
        """Return an entry of the container's security context, or None if it is not set."""
        return object_at(self.raw, "securityContext").get(key)


@attrs.frozen
class Pod:
    """A pod under review."""

    raw: Json = attrs.field(repr=False)
    metadata: Json = attrs.field(init=False, repr=False)
    """The pod's metadata."""
    spec: Json = attrs.field(init=False, repr=False)
    """The pod's spec."""
    _all_annotations: Mapping[str, str] = attrs.field(init=False, repr=False)
    annotations: dict[str, str] = attrs.field(init=False, repr=False)
    """The pod's annotations that begin with ``keeper.security/``, and those of other programs that decisions read.

    No answer depends on any other annotation."""
    annotation_bytes: int = attrs.field(init=False, repr=False)
    """The size of all annotations, as API servers count it."""

    @metadata.default
    def _metadata(self) -> Json:
        return object_at(self.raw, "metadata")

    @spec.default
    def _spec(self) -> Json:
        return object_at(self.raw, "spec")

    @_all_annotations.default
    def _texts_of_metadata(self) -> Mapping[str, str]:
        return _texts_at(self.metadata, "annotations")

    @annotations.default
    def _annotations(self) -> dict[str, str]:
        return {
            key: text
            for key, text in self._all_annotations.items()
            if key.startswith(PREFIX) or key in FOREIGN_ANNOTATIONS
        }

    @annotation_bytes.default
    def _annotation_bytes(self) -> int:
        return len("".join((*self._all_annotations, *self._all_annotations.values())).encode())

    # In a class with slots, attrs implements this without a lock.
    @cached_property
    def _containers(self) -> tuple[Container, ...]:
        return tuple(
            Container(kind, index, raw)
            for kind in _KINDS
            for index, raw in enumerate(list_at(self.spec, kind, most=MOST_READ))
        )[:MOST_READ]

    @property
    def name(self) -> str:
        """The pod's name, or the prefix that the API server will complete (``generateName``)."""
        return text_at(self.metadata, "name") or text_at(self.metadata, "generateName")

    @property
    def owner(self) -> str:
        """Kind and name of the controller that created the pod, such as ``Job/backup``; empty if a person created it."""
        for reference in list_at(self.metadata, "ownerReferences", most=_MOST_OWNERS):
            if reference.get("controller"):
                return f"{text_at(reference, 'kind')}/{text_at(reference, 'name')}"
        return ""

    @property
    def container_count(self) -> int:
        """The number of containers and init containers that the pod has."""
        return sum(len(items) for kind in _KINDS if isinstance(items := self.spec.get(kind), list))

    def containers(self) -> Sequence[Container]:
        """Return all containers in the order in which they start: init containers first. At most :data:`MOST_READ`."""
        return self._containers

    def volumes(self) -> Sequence[Json]:
        """Return the pod's volumes."""
        return list_at(self.spec, "volumes")

    def volume_names(self) -> frozenset[str]:
        """Return the names of the pod's volumes."""
        return frozenset(text_at(volume, "name") for volume in self.volumes())

    def security(self, key: str) -> Any:
        """Return an entry of the pod's security context, or None if it is not set."""
        return object_at(self.spec, "securityContext").get(key)


def in_order(groups: Sequence[Sequence[Container]]) -> tuple[Container, ...]:
    """Return the containers of all *groups* in the order in which they start. Each group is in this order already."""
    if len(groups) == 1:
        return tuple(groups[0])
    return tuple(sorted(itertools.chain.from_iterable(groups), key=starting_order))


def starting_order(container: Container) -> tuple[int, int]:
    """Return the key by which containers are sorted in the order in which they start."""
    return _KINDS.index(container.kind), container.index


def object_at(parent: Json, key: str) -> Json:
    """Return the object under *key*, or an empty one if it is not set; raises :class:`ReviewError` for anything else."""
    value = parent.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ReviewError(f"request.object: {key} is not an object")
    return value


def text_at(parent: Json, key: str) -> str:
    """Return the text under *key*, or an empty one if it is not set; raises :class:`ReviewError` for anything else."""
    value = parent.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ReviewError(f"request.object: {key} is not text")
    return value


def _texts_at(parent: Json, key: str) -> Mapping[str, str]:
    texts = object_at(parent, key)
    if set(map(type, texts.values())) <= {str}:
        return texts
    if not all(isinstance(text, str | int | float | None) for text in texts.values()):
        raise ReviewError(f"request.object: {key} is not an object of texts")
    # Only a preview sees values of other types, and reports them.
    return {name: text if isinstance(text, str) else str(text) for name, text in texts.items()}


def list_at(parent: Json, key: str, *, most: int | None = None) -> list[Json]:
    """Return the list of objects under *key*, or an empty one if it is not set; raises :class:`ReviewError` for anything else.

    With *most*, return only so many objects from the beginning of the list.
    """
    value = parent.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise ReviewError(f"request.object: {key} is not a list of objects")
    if most is not None and len(value) > most:
        value = value[:most]
    # JSON has no subclasses of dict. This takes a fifth of the time of isinstance for each item.
    if not _OBJECTS.issuperset(map(type, value)):
        raise ReviewError(f"request.object: {key} is not a list of objects")
    return value


_OBJECTS = frozenset({dict})
