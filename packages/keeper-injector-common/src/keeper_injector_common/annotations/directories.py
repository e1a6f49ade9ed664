"""Assigns files to containers, and groups them into the directories that become memory volumes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet

from keeper_injector_common.annotations.request import Containers, FolderFiles, SecretFile

Item = SecretFile | FolderFiles
"""Something that the agent writes into a directory."""


def receives(container: str, own: Containers, whole: Containers) -> bool:
    """Return whether *container* receives an item.

    The item's *own* list of containers wins, then the list of the *whole* request. With neither, every container receives it.
    """
    chosen = own if own is not None else whole
    return chosen is None or container in chosen


def directory_of(item: Item) -> str:
    """Return the directory that the files of *item* are in."""
    return item.directory if isinstance(item, FolderFiles) else item.path.rpartition("/")[0] or "/"


def by_directory(directories: Sequence[str], received: Iterable[int]) -> dict[str, tuple[int, ...]]:
    """Group items by directory. Return the numbers of the items in each directory.

    *directories* has the directory of every item, and *received* has the numbers of the items to group. A directory inside
    another directory belongs to the outer one, because a volume cannot be mounted inside another read-only volume.
    """
    numbers = tuple(received)
    present = {directories[number] for number in numbers}
    outermost = {directory: _outermost(directory, present) for directory in present}
    grouped: dict[str, list[int]] = {}
    for number in numbers:
        grouped.setdefault(outermost[directories[number]], []).append(number)
    return {directory: tuple(grouped[directory]) for directory in sorted(grouped)}


def _outermost(directory: str, present: AbstractSet[str]) -> str:
    for path in ancestors(directory):
        if path in present:
            return path
    return directory


def below(path: str, directory: str) -> str:
    """Return *path* relative to *directory*, which contains it; empty for the directory itself."""
    return path[len(directory) + 1 :]


def ancestors(path: str) -> Iterator[str]:
    """Yield the directories that contain *path*, outermost first and without the root: ``/a`` and ``/a/b`` for ``/a/b/c``."""
    end = path.find("/", 1)
    while end > 0:
        yield path[:end]
        end = path.find("/", end + 1)


def is_inside(path: str, directory: str) -> bool:
    """Return whether *path* is *directory* or is below it."""
    return path == directory or path.startswith(f"{directory}/")
