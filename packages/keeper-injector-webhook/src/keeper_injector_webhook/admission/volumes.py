"""Which container receives which files: a memory volume for each distinct pair of directory and set of files.

Two containers that receive the same files below a directory share its volume; two that receive different ones do not, so
that no container sees a secret that is not its own.
"""

from __future__ import annotations

import itertools
import posixpath
from collections.abc import Iterable, Sequence

import attrs

from keeper_injector_common.annotations.directories import Item, by_directory, directory_of, is_inside, receives
from keeper_injector_common.annotations.request import InjectionRequest, SecretFile
from keeper_injector_common.errors import Problem
from keeper_injector_webhook.admission.pod import Container, Pod


@attrs.frozen
class Volume:
    """A memory volume: what lies in it and where it is mounted."""

    name: str
    directory: str
    items: tuple[Item, ...]
    containers: tuple[Container, ...]


def lay_out(request: InjectionRequest, pod: Pod, problems: list[Problem]) -> tuple[Volume, ...]:
    """Lay out the volumes of *pod*; adds what cannot be to *problems*."""
    items: Sequence[Item] = (*request.files, *request.folders)
    _report_unknown_containers(request, pod, problems)
    grouped: dict[tuple[str, tuple[int, ...]], list[Container]] = {}
    directories = [directory_of(item) for item in items]
    laid_out: dict[tuple[int, ...], dict[str, tuple[int, ...]]] = {}
    for container in pod.containers():
        received = tuple(
            number for number, item in enumerate(items) if receives(container.name, item.containers, request.containers)
        )
        if received not in laid_out:
            laid_out[received] = by_directory(directories, received)
            _report_same_path(items, received, problems)
        for directory, numbers in laid_out[received].items():
            grouped.setdefault((directory, numbers), []).append(container)
            _report_clashes(container, directory, items[numbers[0]].where, problems)
    return tuple(
        Volume(f"keeper-secrets-{number}", directory, tuple(items[index] for index in numbers), tuple(containers))
        for number, ((directory, numbers), containers) in enumerate(grouped.items())
    )


def _report_unknown_containers(request: InjectionRequest, pod: Pod, problems: list[Problem]) -> None:
    names = [container.name for container in pod.containers()]
    items = (*request.files, *request.folders, *request.variables)
    asked = [("keeper.security/containers", request.containers), *((item.where, item.containers) for item in items)]
    asked = [(where, chosen) for where, chosen in asked if chosen is not None]
    for where, chosen in dict.fromkeys(asked):
        problems += [
            Problem(where, f"the pod has no container {name!r}", f"it has {', '.join(names)}")
            for name in chosen or ()
            if name not in names
        ]


def _report_clashes(container: Container, directory: str, where: str, problems: list[Problem]) -> None:
    for mount in container.mounts:
        path = posixpath.normpath(str(mount.get("mountPath", "")))
        if is_inside(path, directory) or (is_inside(directory, path) and path != "/"):
            problems.append(
                Problem(
                    where,
                    f"{directory} clashes with the mount of volume {mount.get('name')!r} at {path} in container "
                    f"{container.name!r}",
                    "choose a path outside of it",
                )
            )


def _report_same_path(items: Sequence[Item], received: Iterable[int], problems: list[Problem]) -> None:
    """Report two secrets on one path, and one on the path of a directory of another; each pair once."""
    files = [item for number in received if isinstance(item := items[number], SecretFile)]
    for first, second in itertools.combinations(files, 2):
        problem = None
        if first.path == second.path:
            found = f"{second.path} is the path of {first.where} too"
            problem = Problem(second.where, found, "give each secret a path of its own")
        elif is_inside(first.path, second.path) or is_inside(second.path, first.path):
            outer = min(first, second, key=lambda file: len(file.path))
            problem = Problem(outer.where, f"{outer.path} is a directory of another secret", "choose another path")
        if problem and problem not in problems:
            problems.append(problem)
