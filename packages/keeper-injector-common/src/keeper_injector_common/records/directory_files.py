"""Which record each file of a directory's folders is made from, if several want one path.

The plan names the paths of some files itself. Those of a folder's files follow from titles in Keeper, so that two folders, or a folder
and an explicit file, may want one path, or one of them a directory where the other wants a file:

- An explicit file takes precedence over a folder's. That is a warning.
- Of two folders, the record that the file was made from before keeps it, and the others are a problem. Without such a record,
  none of them gets the path, because any choice could put one environment's password into another's file.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

import attrs

from keeper_injector_common.uniqueness import Clash, Named, divide

if TYPE_CHECKING:
    from keeper_injector_common.plan.model import FolderItem
    from keeper_injector_common.records.record import Record


@attrs.frozen
class FolderFile:
    """A file of a folder: the record that it is made from, and the folder."""

    folder: FolderItem
    record: Record


@attrs.frozen
class FolderFiles:
    """The files of all folders of a directory, by path below the directory."""

    files: Mapping[str, FolderFile]
    clashes: tuple[Clash, ...]
    """Paths that several records want. A record that keeps its file is among the origins, and in :attr:`files` too."""
    overridden: tuple[Named[FolderFile], ...]
    """Files that are not written, because the plan itself names a file at this path, or above or below it."""


def assign_paths(
    explicit: Collection[str], wanted: Iterable[Named[FolderFile]], owners: Mapping[str, str]
) -> FolderFiles:
    """Return which of the *wanted* files get their paths.

    *explicit* has the paths of the files that the plan names; *owners* the UID of the record that each file was made from before.
    """
    reserved = {*explicit, *(parent for path in explicit for parent in _parents(path))}
    entries = list(wanted)
    free = [entry for entry in entries if not _is_taken(entry.name, explicit, reserved)]
    overridden = [entry for entry in entries if _is_taken(entry.name, explicit, reserved)]
    found, clashes = divide(free)
    files = {name: entry.value for name, entry in found.items()}
    for clash in clashes:
        owner = next(
            (item for item in free if item.name == clash.name and item.value.record.uid == owners.get(clash.name)), None
        )
        if owner is not None:
            files[clash.name] = owner.value
    inside = {parent: name for name in files for parent in _parents(name)}
    nested = [
        Clash(name, (found[name].origin if name in found else name, f"a directory with {inside[name]!r}"))
        for name in files
        if name in inside
    ]
    for clash in nested:
        del files[clash.name]
    return FolderFiles(
        files, (*clashes, *nested), tuple({(item.name, item.origin): item for item in overridden}.values())
    )


def describe_clash(clash: Clash) -> str:
    """Return the problem of a path that several records want, without the path."""
    return (
        f"two records would be written here: {clash}; give the folders different directories (outputPath), or rename a record in "
        "Keeper"
    )


def describe_overridden(origin: str) -> str:
    """Return the warning about a file of a folder that is not written, without its path."""
    return f"{origin} is in a folder, and is not written, because the pod asks for another file at this path"


def _is_taken(path: str, explicit: Collection[str], reserved: Collection[str]) -> bool:
    return path in reserved or any(parent in explicit for parent in _parents(path))


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts))]
