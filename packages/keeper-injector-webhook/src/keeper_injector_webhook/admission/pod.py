"""A read-only view of a pod's raw JSON.

The JSON is not decoded into typed models: these drop fields that they do not know, and several other injectors damaged the
sidecars of their users that way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from keeper_injector_common.json_values import Json
from keeper_injector_webhook.errors import ReviewError


@attrs.frozen
class Container:
    """One container of a pod and its position."""

    kind: str
    """``containers`` or ``initContainers``."""
    index: int
    raw: Json = attrs.field(repr=False)

    @property
    def name(self) -> str:
        """The container's name."""
        return str(self.raw.get("name", ""))

    @property
    def mounts(self) -> list[Json]:
        """The container's volume mounts."""
        return list_at(self.raw, "volumeMounts")

    @property
    def command(self) -> list[str]:
        """The container's command; empty if it uses the image's."""
        value = self.raw.get("command") or []
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ReviewError("request.object: command is not a list of strings")
        return value

    @property
    def variables(self) -> list[Json]:
        """The ``env`` entries of the container."""
        return list_at(self.raw, "env")

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
    # Computed once, and not by ``cached_property``: its lock (before Python 3.12) takes as long as the rest of a read.
    metadata: Json = attrs.field(init=False, repr=False)
    """The pod's metadata."""
    spec: Json = attrs.field(init=False, repr=False)
    """The pod's spec."""
    annotations: dict[str, str] = attrs.field(init=False, repr=False)
    """The pod's annotations."""
    _containers: tuple[Container, ...] = attrs.field(init=False, repr=False)

    @metadata.default
    def _metadata(self) -> Json:
        return object_at(self.raw, "metadata")

    @spec.default
    def _spec(self) -> Json:
        return object_at(self.raw, "spec")

    @annotations.default
    def _annotations(self) -> dict[str, str]:
        return {str(key): str(value) for key, value in object_at(self.metadata, "annotations").items()}

    @_containers.default
    def _all_containers(self) -> tuple[Container, ...]:
        return tuple(
            Container(kind, index, raw)
            for kind in ("initContainers", "containers")
            for index, raw in enumerate(list_at(self.spec, kind))
        )

    @property
    def name(self) -> str:
        """The pod's name, or the prefix that the API server will complete (``generateName``)."""
        return str(self.metadata.get("name") or self.metadata.get("generateName") or "")

    @property
    def owner(self) -> str:
        """Kind and name of the controller that created the pod, such as ``Job/backup``; empty if a person created it."""
        for reference in list_at(self.metadata, "ownerReferences"):
            if reference.get("controller"):
                return f"{reference.get('kind')}/{reference.get('name')}"
        return ""

    def containers(self) -> Sequence[Container]:
        """Return all containers in the order in which they start: init containers first."""
        return self._containers

    def volumes(self) -> Sequence[Json]:
        """Return the pod's volumes."""
        return list_at(self.spec, "volumes")

    def volume_names(self) -> frozenset[str]:
        """Return the names of the pod's volumes."""
        return frozenset(str(volume.get("name")) for volume in self.volumes())

    def security(self, key: str) -> Any:
        """Return an entry of the pod's security context, or None if it is not set."""
        return object_at(self.spec, "securityContext").get(key)


def object_at(parent: Json, key: str) -> Json:
    """Return the object under *key*, or an empty one if it is not set; raises :class:`ReviewError` for anything else."""
    value = parent.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ReviewError(f"request.object: {key} is not an object")
    return value


def list_at(parent: Json, key: str) -> list[Json]:
    """Return the list of objects under *key*, or an empty one if it is not set; raises :class:`ReviewError` for anything else."""
    value = parent.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ReviewError(f"request.object: {key} is not a list of objects")
    return value
