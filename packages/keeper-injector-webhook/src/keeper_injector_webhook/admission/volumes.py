"""Lays out the memory volumes: which container receives which files, mounted from which volume at which directory.

There is one volume for each distinct pair of a directory and the set of files in it. Two containers that receive the same files
in a directory share its volume. Two that receive different files do not, so that no container sees a secret of another.
The JSON of these volumes is in :mod:`.manifests`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import attrs

from keeper_injector_common.annotations.directories import (
    Item,
    ancestors,
    by_directory,
    directory_of,
)
from keeper_injector_common.annotations.request import InjectionRequest
from keeper_injector_common.errors import Problem
from keeper_injector_webhook.admission.names import SECRETS_VOLUME_PREFIX
from keeper_injector_webhook.admission.pod import Container, in_order
from keeper_injector_webhook.admission.receivers import Received


@attrs.frozen
class Volume:
    """A memory volume with files: what it contains, and where which containers mount it."""

    name: str
    directory: str
    """The directory at which the containers mount it."""
    items: tuple[Item, ...]
    containers: tuple[Container, ...]


def lay_out(request: InjectionRequest, received: Received) -> tuple[Volume, ...]:
    """Return the volumes that a pod needs for the files and folders of *request*, given what its containers have *received*."""
    items: Sequence[Item] = (*request.files, *request.folders)
    directories = [directory_of(item) for item in items]
    shared: dict[tuple[str, tuple[int, ...]], list[list[Container]]] = {}
    for numbers_of_all, containers in received.items():
        for directory, numbers in by_directory(
            directories, [one for one in numbers_of_all if one < len(items)]
        ).items():
            shared.setdefault((directory, numbers), []).append(containers)
    return tuple(
        Volume(
            f"{SECRETS_VOLUME_PREFIX}{index}", directory, tuple([items[number] for number in numbers]), in_order(groups)
        )
        for index, ((directory, numbers), groups) in enumerate(shared.items())
    )


def deliveries(received: Received) -> tuple[int, int]:
    """Return how many secrets the containers receive, each counted once for every container that receives it.

    The second number counts containers that receive the same secrets once.
    """
    return sum(len(numbers) * len(containers) for numbers, containers in received.items()), sum(map(len, received))


def mount_count(volumes: Sequence[Volume]) -> int:
    """Return how many mounts *volumes* need."""
    return sum(len(volume.containers) for volume in volumes)


def problems_of_volumes(request: InjectionRequest, received: Received) -> Iterator[Problem]:
    """Yield each file at whose path something else of the request is, or must be, for a container that receives both."""
    return itertools.chain(_clashing_files(request, received), _directories_of_folders(request))


def _clashing_files(request: InjectionRequest, received: Received) -> Iterator[Problem]:
    """Yield each file whose path another file has too, or is inside of, if some container receives both.

    Each set of files that some container receives is read once, and files are found by their paths. Nothing is compared in pairs.
    """
    files = request.files
    paths = {file.path for file in files}
    outer_paths = [[path for path in ancestors(file.path) if path in paths] for file in files]
    if len(paths) == len(files) and not any(outer_paths):
        return
    same: dict[int, int] = {}
    inside: dict[int, set[tuple[int, int]]] = {}
    for numbers in {tuple(one for one in numbers_of_all if one < len(files)) for numbers_of_all in received}:
        first: dict[str, int] = {}
        for number in numbers:
            other = first.setdefault(files[number].path, number)
            if other != number:
                same[number] = min(other, same.get(number, other))
        for number in numbers:
            outer = [(depth, first[path]) for depth, path in enumerate(outer_paths[number]) if path in first]
            if outer:
                inside.setdefault(number, set()).update(outer)
    for number, other in sorted(same.items()):
        found = f"{files[number].path} is the path of {files[other].where} too"
        yield Problem(files[number].where, found, "give each secret its own path")
    for _, outer_ones in sorted(inside.items()):
        for _, number in sorted(outer_ones):
            found = f"{files[number].path} is a directory of another secret"
            yield Problem(files[number].where, found, "choose another path")


def _directories_of_folders(request: InjectionRequest) -> Iterator[Problem]:
    """Yield each file whose path is that of a folder's directory, or above it."""
    by_path = {file.path: file for file in request.files}
    for folder in request.folders:
        for path in (*ancestors(folder.directory), folder.directory):
            file = by_path.get(path)
            if file and _may_share(request, file, folder):
                found = f"{path} is a directory of the folder of {folder.where}"
                yield Problem(file.where, found, "choose another path")


def _may_share(request: InjectionRequest, *items: Item) -> bool:
    """Return whether some container may receive both of the two *items*."""
    one, other = (request.containers if item.containers is None else item.containers for item in items)
    return one is None or other is None or not set(one).isdisjoint(other)
