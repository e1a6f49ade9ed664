"""Which container receives what, and the directories that become memory volumes; pure."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence

from keeper_injector_common.annotations.request import Containers, FolderFiles, SecretFile

Item = SecretFile | FolderFiles


def receives(container: str, own: Containers, whole: Containers) -> bool:
    """Say whether *container* is among an item's own containers, else among the request's, else simply there."""
    chosen = own if own is not None else whole
    return chosen is None or container in chosen


def directory_of(item: Item) -> str:
    """Return the directory that an item writes into."""
    return item.directory if isinstance(item, FolderFiles) else posixpath.dirname(item.path)


def by_directory(directories: Sequence[str], received: Iterable[int]) -> dict[str, tuple[int, ...]]:
    """Group the items numbered *received* by their *directories*.

    A directory inside another belongs to the outer one, as volumes cannot nest when they are mounted read-only.
    """
    numbers = tuple(received)
    found = sorted({directories[number] for number in numbers})
    tops = [path for path in found if not any(is_inside(path, other) for other in found if other != path)]
    return {top: tuple(number for number in numbers if is_inside(directories[number], top)) for top in tops}


def below(path: str, directory: str) -> str:
    """Return *path*, which lies inside, as seen from *directory*; empty for the directory itself."""
    return path[len(directory) + 1 :]


def is_inside(path: str, directory: str) -> bool:
    """Say whether *path* is *directory* or lies below it."""
    return path == directory or path.startswith(f"{directory}/")
