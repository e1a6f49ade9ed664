"""What the files of one run of ``migrate`` have in common: the titles of records, and the objects that others refer to."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from keeper_injector_common.cli.manifests import objects
from keeper_injector_common.cli.migrate.titles import Titles
from keeper_injector_common.json_values import Json, as_object


@attrs.define
class Run:
    """Files are migrated twice: the first round collects, the second one writes."""

    titles: Titles = attrs.field(factory=Titles)
    workload: tuple[str, str] | None = None
    """Kind and name of the workload that gets what no workload of the input uses, from ``--workload``."""
    used: set[tuple[str, str]] = attrs.field(factory=set)
    """The objects, by kind and name, and by namespace, that a pod of the input uses."""
    _objects: dict[tuple[str, str, str], Json] = attrs.field(factory=dict)

    def read(self, text: str) -> None:
        """Collect the objects of a file. Raises :class:`~keeper_injector_common.cli.manifest_yaml.ManifestError`."""
        for _, manifest in objects(text):
            metadata = as_object(manifest.get("metadata"))
            kind, namespace = str(manifest.get("kind")), str(metadata.get("namespace") or "")
            self._objects[kind, namespace, str(metadata.get("name"))] = manifest

    def find(self, kind: str, namespace: str, name: str) -> Json | None:
        """Return the object of this kind and name in the namespace, or without a namespace; None if it does not exist."""
        return self._objects.get((kind, namespace, name)) or self._objects.get((kind, "", name))

    def all(self, *kinds: str) -> Iterator[Json]:
        """Iterate over the objects of these kinds."""
        yield from (manifest for (kind, _, _), manifest in self._objects.items() if kind in kinds)
