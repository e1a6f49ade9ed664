"""Find the record or the folder that a name means, or raise an error that says what exists instead."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import attrs

from keeper_injector_common.errors import RecordGoneError, SelectionError, UnreadableRecordError
from keeper_injector_common.records.similar_names import MOST_SUGGESTED, lookalike, suggestion
from keeper_injector_common.references import RecordName, is_uid

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from keeper_injector_common.records.record import Folder, Record

_SHARE = "share it with the application in Keeper"


class _Match(enum.IntEnum):
    """Why a record matches a name, the strongest reason first."""

    UID = 0
    PATH = 1
    TITLE = 2


_REASONS = {_Match.UID: "has this UID", _Match.PATH: "is in this folder", _Match.TITLE: "has this title"}


def _as_it_is(record: Record) -> Record:
    return record


@attrs.frozen
class Resolution:
    """The record that a name means."""

    name: RecordName
    record: Record
    others: tuple[str, ...] = ()
    """UIDs of other records that match the name, but not as well, or with a higher UID."""
    by_title: bool = False
    """Whether the name says a UID or a path, which no record has, so that it was taken for a title."""
    replaced: str = ""
    """UID of the record that the name meant before; empty if that is this record or unknown."""

    @property
    def exact(self) -> str:
        """How to write a name that was taken for a title, so that it can mean nothing else."""
        escaped = f", or {RecordName((self.name.title,))} for the title" if len(self.name.parts) > 1 else ""
        return f"{self.record.uid}{escaped}"


@attrs.frozen
class Library:
    """The records that are shared with this application."""

    records: tuple[Record, ...]
    unreadable: tuple[str, ...] = ()
    """UIDs of records that Keeper sent but that could not be decrypted or read; their titles are unknown."""
    malformed: tuple[str, ...] = ()
    """Those of the unreadable records that could be decrypted, but whose content is not that of a record."""
    locations: Mapping[str, tuple[Folder, ...]] = attrs.field(factory=dict)
    """The folders of the unreadable records, by UID, as far as they are known."""
    load: Callable[[Record], Record] = _as_it_is
    """Returns one of :attr:`records` with its content. Those of a large answer have only UID, title, type and folders; what
    :meth:`resolve` and :meth:`in_folder` return is complete."""

    def find(self, name: RecordName, *, strict: bool = False) -> Record:
        """Return the record that *name* means; see :meth:`resolve`, which raises the same."""
        return self.resolve(name, strict=strict).record

    def resolve(self, name: RecordName, *, strict: bool = False, origin: str = "") -> Resolution:
        """Return the record that *name* means: by UID, otherwise by folders with title or UID, otherwise by title.

        *origin* is the UID of the record that *name* meant before, if that is known. Of several records that match for the same
        reason, the name keeps meaning this one; otherwise it means the one with the lowest UID.

        Raises :class:`RecordGoneError` if there is no such record, :class:`UnreadableRecordError` if it may be one that could not
        be decrypted, and :class:`SelectionError` if the name means another record than before, but only by its title although it
        says a UID or a path. If *strict*, raises :class:`SelectionError` for every other record than before, and if several match.
        """
        matches = self._ranked_matches(name, strict=strict)
        if not matches or (matches[0][0] is _Match.TITLE and self._may_be_hidden(name)):
            raise self._not_found(name)
        if strict and len(matches) > 1:
            raise SelectionError(_ambiguity(name, matches))
        best = [record for reason, record in matches if reason is matches[0][0]]
        record = next((record for record in best if record.uid == origin), best[0])
        others = tuple(match.uid for _, match in matches if match is not record)
        by_title = matches[0][0] is _Match.TITLE and (len(name.parts) > 1 or is_uid(name.title))
        replaced = origin if origin != record.uid else ""
        if replaced and (strict or by_title or replaced in self.unreadable):
            raise self._replaced(name, replaced, record)
        return Resolution(name, self.load(record), others, by_title=by_title, replaced=replaced)

    def matches(self, name: RecordName, *, strict: bool = False) -> Sequence[Record]:
        """Return every record that *name* may mean: by UID, then in its folders, then by title, each with the lowest UID first.

        If *strict*, a title cannot take the place of what a name says more precisely: a UID matches only itself, a text that
        looks like a UID matches no title, and a path is not the title of a record alone. A record in the folder and another
        one with the whole path as its title both match.
        """
        return [record for _, record in self._ranked_matches(name, strict=strict)]

    def _ranked_matches(self, name: RecordName, *, strict: bool) -> list[tuple[_Match, Record]]:
        *folder, last = name.parts
        exact = strict and is_uid(last)
        found: dict[str, tuple[_Match, Record]] = {}
        for record in self.records:
            is_here = not folder or any(item.names == tuple(folder) for item in record.folders)
            if is_here and record.uid == last:
                found[record.uid] = (_Match.UID, record)
            elif folder and is_here and record.title == last and not exact:
                found[record.uid] = (_Match.PATH, record)
            elif record.title == name.title and not exact:
                found[record.uid] = (_Match.TITLE, record)
        matches = sorted(found.values(), key=lambda match: (match[0], match[1].uid))
        if strict and matches and matches[0][0] is _Match.UID:
            return matches[:1]
        return [] if strict and folder and matches and matches[0][0] is _Match.TITLE else matches

    def in_folder(self, folder: RecordName, *, recursive: bool = False, strict: bool = False) -> tuple[Record, ...]:
        """Return the records of *folder*, which is a UID or a path of names; if *recursive*, also of its subfolders.

        Raises :class:`RecordGoneError` if there is no record, :class:`UnreadableRecordError` if there may be one that
        could not be decrypted, and, if *strict*, :class:`SelectionError` if several folders have the path.
        """
        where = f"folder {folder.title!r}"
        tops = self._folders_called(folder, strict=strict)
        if strict and len(tops) > 1:
            uids = ", ".join(sorted(path[-1] for path in tops))
            raise SelectionError(f"{where}: {len(tops)} folders have this path; use a UID of {uids}")
        found = [record for record in self.records if _is_in(record.folders, tops, recursive=recursive)]
        unknown = self._unreadable_folders(folder.parts, recursive=recursive)
        if not found and unknown:
            raise UnreadableRecordError(f"{where}: not found, {_undecrypted_folders(unknown)}, or use its UID")
        if not found and self.unreadable:
            raise UnreadableRecordError(f"{where}: no readable record found, {self._unread()}")
        if not found and (named := self.folder_by_name(folder)):
            raise RecordGoneError(f"{where}: no folder has this UID; write {named} for the folder with this name")
        if not found:
            paths = [("/".join(path), uid) for path, uid in self._paths()]
            others = lookalike(folder.title, paths) or suggestion(
                folder.title, (path for path, _ in paths), none=_SHARE
            )
            raise RecordGoneError(f"{where}: no record in it is shared with this application{others}")
        return tuple(map(self.load, sorted(found, key=lambda record: record.uid)))

    def folder_by_name(self, folder: RecordName) -> str:
        """Return the UIDs of the folders that *folder* means only by their name, although it says a UID; empty if it does not."""
        found = self._folders_called(folder, strict=False)
        if len(folder.parts) > 1 or not is_uid(folder.title) or any(path[-1] == folder.title for path in found):
            return ""
        return " or ".join(sorted(path[-1] for path in found))

    def unreadable_in(self, folder: RecordName, *, recursive: bool = False, strict: bool = False) -> tuple[str, ...]:
        """Return the UIDs of the unreadable records that are in *folder*, or that may be, because their folders are unknown."""
        tops = self._folders_called(folder, strict=strict)
        return tuple(
            uid
            for uid in sorted(self.unreadable)
            if uid not in self.locations or _is_in(self.locations[uid], tops, recursive=recursive)
        )

    def _folders_called(self, name: RecordName, *, strict: bool) -> set[tuple[str, ...]]:
        """Return the folders that *name* means, as paths of UIDs: the one with this UID, otherwise all with this path.

        If *strict*, a text that looks like a UID is not the name of a folder.
        """
        depth = len(name.parts)
        by_uid = {
            item.uids[: item.uids.index(name.parts[0]) + 1]
            for item in self._folders()
            if depth == 1 and name.parts[0] in item.uids
        }
        if by_uid or (strict and depth == 1 and is_uid(name.parts[0])):
            return by_uid
        return {item.uids[:depth] for item in self._folders() if item.names[:depth] == name.parts}

    def _folders(self) -> Iterator[Folder]:
        yield from (folder for record in self.records for folder in record.folders)
        yield from (folder for folders in self.locations.values() for folder in folders)

    def _paths(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Yield the path and the UID of each folder whose names are known."""
        for folder in self._folders():
            if None not in folder.names:
                yield tuple(map(str, folder.names)), folder.uids[-1] if folder.uids else ""

    def _may_be_hidden(self, name: RecordName) -> bool:
        """Return whether *name* has folders, one of which may be a folder whose name could not be decrypted."""
        return len(name.parts) > 1 and bool(self._unreadable_folders(name.parts[:-1]))

    def _unreadable_folders(self, path: tuple[str, ...], *, recursive: bool = False) -> set[str]:
        """Return the UIDs of folders that may be the one at *path*, because a name in their own path is unknown."""
        return {
            folder.uids[-1]
            for folder in self._folders()
            if None in folder.names and _may_be_at(folder.names, path, recursive=recursive)
        }

    def _not_found(self, name: RecordName) -> RecordGoneError | UnreadableRecordError:
        where = f"record {name.title!r}"
        if name.parts[-1] in self.malformed:
            return UnreadableRecordError(
                f"{where}: its content is not as Keeper's clients write it; the log of the agent says what is wrong, "
                "so correct the record in Keeper"
            )
        if name.parts[-1] in self.unreadable:
            return UnreadableRecordError(
                f"{where}: Keeper sent it, but it cannot be decrypted; share it with the application again"
            )
        if self._may_be_hidden(name):
            unknown = _undecrypted_folders(self._unreadable_folders(name.parts[:-1]))
            return UnreadableRecordError(f"{where}: not found in its folder, {unknown}, or use the UID of the record")
        others = self._alternatives(name)
        if self.unreadable:
            # Titles are encrypted too, so any of the unreadable records may be the one.
            return UnreadableRecordError(f"{where}: not found, {self._unread()}{others}")
        return RecordGoneError(f"{where}: not shared with this application{others}")

    def _replaced(self, name: RecordName, origin: str, record: Record) -> SelectionError | UnreadableRecordError:
        """Return the error of a *name* that meant the record *origin* before, and would mean another *record* now."""
        where = f"record {name.title!r}: it meant the record {origin}"
        other = f"so that it would mean another record, {record.title!r} ({record.uid})"
        if origin in self.unreadable:
            return UnreadableRecordError(
                f"{where}, which cannot be read now, {other}; see the other messages, or write a UID"
            )
        right = f"write {record.uid} for the new record, or replace the pod"
        for present in self.records:
            if present.uid == origin:
                found = f"which is called {present.title!r} now or is in another folder"
                return SelectionError(f"{where}, {found}, {other}; {right}")
        return RecordGoneError(f"{where}, which is not shared with this application any more, {other}; {right}")

    def _alternatives(self, name: RecordName) -> str:
        """Return the end of a message about *name*, which no record has: what was probably meant."""
        titled = sorted(record.uid for record in self.records if record.title == name.title)
        if titled and len(name.parts) > 1:
            escaped = RecordName((name.title,))
            return f" in this folder; write {escaped} for the title of {titled[0]}, because strict-lookup reads a path"
        if titled:
            return f"; write {titled[0]} for the record with this title, because strict-lookup takes it for a UID"
        paths = [(name.title, record.uid) for name, record in self._names(with_folders=len(name.parts) > 1)]
        return lookalike(name.title, paths) or suggestion(name.title, (text for text, _ in paths), none=_SHARE)

    def _names(self, *, with_folders: bool) -> Iterator[tuple[RecordName, Record]]:
        for record in self.records:
            yield RecordName((record.title,)), record
            for folder in record.folders if with_folders else ():
                yield RecordName((*(name or "?" for name in folder.names), record.title)), record

    def _unread(self) -> str:
        """Return the end of a message: which records cannot be read, and what to do about them."""
        undecrypted = sorted(set(self.unreadable) - set(self.malformed))
        malformed = sorted(self.malformed)
        parts = []
        if undecrypted:
            uids = ", ".join(undecrypted[:MOST_SUGGESTED])
            parts.append(f"and {len(undecrypted)} sent by Keeper cannot be decrypted ({uids})")
        if malformed:
            uids = ", ".join(malformed[:MOST_SUGGESTED])
            parts.append(
                f"and the content of {len(malformed)} sent by Keeper is not as Keeper's clients write it ({uids})"
            )
        right = (
            "share it with the application again" if undecrypted else "correct it in Keeper, as the agent's log says"
        )
        return f"{', '.join(parts)}; {right}"


def _ambiguity(name: RecordName, matches: Sequence[tuple[_Match, Record]]) -> str:
    uids = ", ".join(record.uid for _, record in matches)
    where = f"record {name.title!r}: {len(matches)}"
    reasons = {reason for reason, _ in matches}
    if reasons == {_Match.TITLE}:
        return f"{where} records have this title; use a UID of {uids}"
    each = ", ".join(f"{record.uid} {_REASONS[reason]}" for reason, record in matches)
    return f"{where} records match ({each}); use a UID of {uids}"


def _is_in(folders: Iterable[Folder], tops: Collection[tuple[str, ...]], *, recursive: bool) -> bool:
    """Return whether one of *folders* is one of *tops*, which are paths of UIDs, or if *recursive* below one of them."""
    depths = {len(path) for path in tops}
    return any(
        folder.uids in tops or (recursive and any(folder.uids[:depth] in tops for depth in depths))
        for folder in folders
    )


def _may_be_at(names: Sequence[str | None], path: Sequence[str], *, recursive: bool) -> bool:
    """Return whether a folder whose unknown *names* are None may be the one at *path*."""
    if len(names) < len(path) or (len(names) > len(path) and not recursive):
        return False
    return all(name in {None, part} for name, part in zip(names, path, strict=False))


def _undecrypted_folders(uids: Iterable[str]) -> str:
    listed = sorted(uids)
    count = "1 folder whose name" if len(listed) == 1 else f"{len(listed)} folders whose names"
    shown = ", ".join(listed[:MOST_SUGGESTED])
    return f"and Keeper sent {count} cannot be decrypted ({shown}); share it with the application again"
