"""Lays out the memory volumes: which container receives which files, mounted from which volume at which directory.

There is one volume for each distinct pair of a directory and the set of files in it. Two containers that receive the same files
in a directory share its volume. Two that receive different files do not, so that no container sees a secret of another.
The JSON of these volumes is in :mod:`.manifests`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from keeper_injector_common.annotations.directories import (
    Item,
    ancestors,
    by_directory,
    directory_of,
)
from keeper_injector_common.annotations.request import InjectionRequest, SecretFile
from keeper_injector_common.errors import Problem
from keeper_injector_webhook.admission.names import SECRETS_VOLUME_PREFIX
from keeper_injector_webhook.admission.pod import Container
from keeper_injector_webhook.admission.receivers import Receivers


@attrs.frozen
class Volume:
    """A memory volume with files: what it contains, and where which containers mount it."""

    name: str
    directory: str
    """The directory at which the containers mount it."""
    items: tuple[Item, ...]
    containers: tuple[Container, ...]


def lay_out(request: InjectionRequest, receivers: Receivers) -> tuple[Volume, ...]:
    """Return the volumes that the pod of *receivers* needs for the files and folders of *request*."""
    items: Sequence[Item] = (*request.files, *request.folders)
    directories = [directory_of(item) for item in items]
    laid_out: dict[tuple[int, ...], dict[str, tuple[int, ...]]] = {}
    grouped: dict[tuple[str, tuple[int, ...]], list[Container]] = {}
    for container, rating in receivers.candidates():
        received = tuple(
            number for number, item in enumerate(items) if receivers.receives(container, rating, item.containers)
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


def problems_of_volumes(request: InjectionRequest, receivers: Receivers) -> Iterator[Problem]:
    """Yield each file whose path another file has too, or is inside of, if some container receives both.

    Files are found by their paths and not compared in pairs, because a pod may ask for thousands.
    """
    by_path: dict[str, dict[int, SecretFile]] = {}
    for file in request.files:
        first = by_path.setdefault(file.path, {})
        others = [first.setdefault(number, file) for number in _receiving(file, receivers)]
        if other := next((other for other in others if other is not file), None):
            yield Problem(file.where, f"{file.path} is the path of {other.where} too", "give each secret its own path")
    for file in request.files:
        for path in ancestors(file.path):
            outer = by_path.get(path, {})
            for number in _receiving(file, receivers) if outer else ():
                if number in outer:
                    found = f"{path} is a directory of another secret"
                    yield Problem(outer[number].where, found, "choose another path")
                    break


def _receiving(file: SecretFile, receivers: Receivers) -> Iterator[int]:
    """Yield the numbers of the containers that receive *file*."""
    for number, (container, rating) in enumerate(receivers.candidates()):
        if receivers.receives(container, rating, file.containers):
            yield number
