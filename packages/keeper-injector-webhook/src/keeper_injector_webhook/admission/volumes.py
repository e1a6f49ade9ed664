"""Lays out the memory volumes: which container receives which files, mounted from which volume at which directory.

There is one volume for each distinct pair of a directory and the set of files in it. Two containers that receive the same files
in a directory share its volume. Two that receive different files do not, so that no container sees a secret of another.
The JSON of these volumes is in :mod:`.manifests`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence

import attrs

from keeper_injector_common.annotations.directories import (
    Item,
    ancestors,
    by_directory,
    directory_of,
    is_inside,
    receives,
)
from keeper_injector_common.annotations.request import InjectionRequest, SecretFile
from keeper_injector_common.annotations.table import PREFIX
from keeper_injector_common.errors import Problem
from keeper_injector_webhook.admission.names import SECRETS_VOLUME_PREFIX
from keeper_injector_webhook.admission.pod import Container, Pod


@attrs.frozen
class Volume:
    """A memory volume with files: what it contains, and where which containers mount it."""

    name: str
    directory: str
    """The directory at which the containers mount it."""
    items: tuple[Item, ...]
    containers: tuple[Container, ...]


def lay_out(request: InjectionRequest, pod: Pod) -> tuple[Volume, ...]:
    """Return the volumes that *pod* needs for the files and folders of *request*."""
    items: Sequence[Item] = (*request.files, *request.folders)
    directories = [directory_of(item) for item in items]
    laid_out: dict[tuple[int, ...], dict[str, tuple[int, ...]]] = {}
    grouped: dict[tuple[str, tuple[int, ...]], list[Container]] = {}
    for container in pod.containers():
        received = tuple(
            number for number, item in enumerate(items) if receives(container.name, item.containers, request.containers)
        )
        if received not in laid_out:
            laid_out[received] = by_directory(directories, received)
        for directory, numbers in laid_out[received].items():
            grouped.setdefault((directory, numbers), []).append(container)
    return tuple(
        Volume(
            f"{SECRETS_VOLUME_PREFIX}{index}", directory, tuple(items[number] for number in numbers), tuple(containers)
        )
        for index, ((directory, numbers), containers) in enumerate(grouped.items())
    )


def problems_of_volumes(request: InjectionRequest, pod: Pod, volumes: Sequence[Volume]) -> Iterator[Problem]:
    """Yield why *volumes*, laid out for *request*, cannot be mounted in *pod*."""
    yield from _unknown_containers(request, pod)
    yield from _shared_paths(request, pod)
    for volume in volumes:
        for container in volume.containers:
            yield from _clashes(volume, container)


def _unknown_containers(request: InjectionRequest, pod: Pod) -> Iterator[Problem]:
    present = [container.name for container in pod.containers()]
    items = (*request.files, *request.folders, *request.variables)
    chosen = {
        (f"{PREFIX}containers", request.containers): None,
        **{(item.where, item.containers): None for item in items},
    }
    for where, containers in chosen:
        for name in containers or ():
            if name not in present:
                yield Problem(where, f"the pod has no container {name!r}", f"it has {', '.join(present)}")


def _shared_paths(request: InjectionRequest, pod: Pod) -> Iterator[Problem]:
    """Yield each file whose path another file has too, or is inside of, if some container receives both.

    Files are found by their paths and not compared in pairs, because a pod may ask for thousands.
    """
    by_path: dict[str, list[SecretFile]] = {}
    for file in request.files:
        same = by_path.setdefault(file.path, [])
        if first := next((other for other in same if _meet(other, file, request, pod)), None):
            yield Problem(file.where, f"{file.path} is the path of {first.where} too", "give each secret its own path")
        same.append(file)
    for file in request.files:
        for path in ancestors(file.path):
            for outer in by_path.get(path, ()):
                if _meet(outer, file, request, pod):
                    yield Problem(outer.where, f"{path} is a directory of another secret", "choose another path")


def _meet(first: SecretFile, second: SecretFile, request: InjectionRequest, pod: Pod) -> bool:
    """Return whether some container of *pod* receives both files."""
    return any(
        all(receives(container.name, item.containers, request.containers) for item in (first, second))
        for container in pod.containers()
    )


def _clashes(volume: Volume, container: Container) -> Iterator[Problem]:
    """Yield each mount of *container* that would hide the volume, or that the volume would hide."""
    for mount in container.mounts:
        path = posixpath.normpath(str(mount.get("mountPath", "")))
        if is_inside(path, volume.directory) or (is_inside(volume.directory, path) and path != "/"):
            yield Problem(
                volume.items[0].where,
                f"{volume.directory} clashes with the mount of volume {mount.get('name')!r} at {path} in container "
                f"{container.name!r}",
                "choose a path outside of it",
            )
