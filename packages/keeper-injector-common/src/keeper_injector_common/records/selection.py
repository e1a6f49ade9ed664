"""Find what a reference means: a record, a value, an attachment or a folder, or an error that lists what exists instead."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from keeper_injector_common.errors import RecordGoneError, SelectionError, UnreadableRecordError
from keeper_injector_common.references import (
    AllValues,
    FieldValue,
    FileContent,
    RecordName,
    RecordText,
    WholeRecord,
)
from keeper_injector_common.suggestions import nearest_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from keeper_injector_common.records.record import Attachment, Field, Folder, JsonValue, Record

_MOST_SUGGESTED = 3
"""Number of similar names, or of UIDs, that a message contains at most."""
_MOST_LISTED = 6
"""A message lists all existing names if none is similar and there are at most this many."""


@attrs.frozen
class Library:
    """The records that are shared with this application."""

    records: tuple[Record, ...]
    unreadable: tuple[str, ...] = ()
    """UIDs of records that Keeper sent but that could not be decrypted or read; their titles are unknown."""
    malformed: tuple[str, ...] = ()
    """Those of the unreadable records that could be decrypted, but whose content is not that of a record."""

    def find(self, name: RecordName, *, strict: bool = False) -> Record:
        """Return the record that *name* means: by UID, otherwise by title, otherwise by folders and title.

        If several records have the title, the one with the lowest UID is returned, unless *strict*. Raises
        :class:`RecordGoneError` if there is no such record, :class:`UnreadableRecordError` if it may be one that could not be
        decrypted, and, if *strict*, :class:`SelectionError` if there are several.
        """
        matches = self.matches(name)
        if not matches:
            raise self._not_found(name)
        if strict and len(matches) > 1:
            uids = ", ".join(record.uid for record in matches)
            raise SelectionError(f"record {name.title!r}: {len(matches)} records have this title; use a UID of {uids}")
        return matches[0]

    def matches(self, name: RecordName) -> Sequence[Record]:
        """Return every record that *name* may mean, lowest UID first."""
        by_uid = [record for record in self.records if record.uid == name.title]
        if by_uid:
            return by_uid
        *folder, title = name.parts
        by_title = [record for record in self.records if record.title == name.title]
        found = by_title or [
            record
            for record in self.records
            if folder
            and title in {record.title, record.uid}
            and any(item.names == tuple(folder) for item in record.folders)
        ]
        return sorted(found, key=lambda record: record.uid)

    def in_folder(self, folder: RecordName, *, recursive: bool = False) -> tuple[Record, ...]:
        """Return the records of *folder*, which is a path of names or a UID; if *recursive*, also of its subfolders.

        Raises :class:`RecordGoneError` if there is no record, and :class:`UnreadableRecordError` if there may be one that
        could not be decrypted.
        """
        found = [
            record
            for record in self.records
            if any(_is_below(item, folder, recursive=recursive) for item in record.folders)
        ]
        where = f"folder {folder.title!r}"
        unknown = self._unreadable_folders(folder.parts, recursive=recursive)
        if not found and unknown:
            raise UnreadableRecordError(
                f"{where}: not found, {_undecrypted_folders(unknown)}, or set the UID of the folder"
            )
        if not found and self.unreadable:
            raise UnreadableRecordError(f"{where}: no readable record found, {self._undecrypted()}")
        if not found:
            paths = {str(RecordName(path)) for path in self._folder_paths()}
            raise RecordGoneError(
                f"{where}: no record in it is shared with this application{_suggestion(folder.title, paths)}"
            )
        return tuple(sorted(found, key=lambda record: record.uid))

    def _not_found(self, name: RecordName) -> RecordGoneError | UnreadableRecordError:
        where = f"record {name.title!r}"
        if name.title in self.malformed:
            return UnreadableRecordError(
                f"{where}: its content is not as Keeper's clients write it; the log of the agent says what is wrong, "
                "so correct the record in Keeper"
            )
        if name.title in self.unreadable:
            return UnreadableRecordError(
                f"{where}: Keeper sent it, but it cannot be decrypted; share it with the application again"
            )
        suggestion = _suggestion(name.title, [record.title for record in self.records])
        if self.unreadable:
            # Titles are encrypted too, so any of the unreadable records may be the one.
            return UnreadableRecordError(f"{where}: not found, {self._undecrypted()}{suggestion}")
        return RecordGoneError(f"{where}: not shared with this application{suggestion}")

    def _folder_paths(self) -> set[tuple[str, ...]]:
        """Return the paths of all folders whose names are known."""
        paths = (folder.names for record in self.records for folder in record.folders)
        return {tuple(name for name in names if name is not None) for names in paths if None not in names}

    def _unreadable_folders(self, path: tuple[str, ...], *, recursive: bool = False) -> set[str]:
        """Return the UIDs of folders that may be the one at *path*, because a name in their own path is unknown."""
        folders = {folder for record in self.records for folder in record.folders if None in folder.names}
        return {folder.uids[-1] for folder in folders if _may_be_at(folder.names, path, recursive=recursive)}

    def _undecrypted(self) -> str:
        uids = ", ".join(sorted(self.unreadable)[:_MOST_SUGGESTED])
        count = len(self.unreadable)
        return f"and {count} sent by Keeper cannot be decrypted ({uids}); share it with the application again"


def select_value(reference: WholeRecord | FieldValue | RecordText, record: Record) -> JsonValue:
    """Return the value of *record* that *reference* means; for a whole record, all values by name.

    Raises :class:`SelectionError` if the record has no such field, index or property.
    """
    match reference:
        case WholeRecord():
            return dict(record.named_values())
        case RecordText(_, "notes"):
            return record.notes
        case RecordText(_, which):
            return record.type if which == "type" else record.title
        case FieldValue():
            return _field_value(reference, record)


def select_file(reference: FileContent, record: Record) -> Attachment:
    """Return the attachment of *record* that *reference* means, by name, title or UID.

    Raises :class:`SelectionError` if no attachment matches, and :class:`UnreadableRecordError` if one that cannot be read may be
    the one.
    """
    for attachment in record.attachments:
        if reference.file in {attachment.name, attachment.title, attachment.uid}:
            return attachment
    names = [attachment.name for attachment in record.attachments]
    if record.unreadable_attachments:
        uids = ", ".join(record.unreadable_attachments[:_MOST_SUGGESTED])
        raise UnreadableRecordError(
            f"record {record.title!r}: no readable file {reference.file!r} is attached, and {len(record.unreadable_attachments)} "
            f"attached to it cannot be read ({uids}); attach it again in Keeper"
        )
    raise SelectionError(
        f"record {record.title!r}: no file {reference.file!r} is attached{_suggestion(reference.file, names)}"
    )


def _field_value(reference: FieldValue, record: Record) -> JsonValue:
    where = f"record {record.title!r}, field {reference.field!r}"
    found = _matching_fields(reference, record)
    if not found and reference.kind == "any" and reference.field == "notes":
        return record.notes
    if not found:
        names = [field.name for field in record.fields if _has_kind(field, reference)]
        raise SelectionError(f"{where}: the record has no such field{_suggestion(reference.field, names)}")
    field = found[0]
    values = field.readable_values
    match reference.index:
        case None if reference.property is None:
            return field.value
        case None:
            return _property(where, values[0] if values else None, reference.property)
        case AllValues():
            if reference.property is None:
                return list(values)
            return [_property(where, value, reference.property) for value in values]
        case int(index):
            if index >= len(values):
                raise SelectionError(f"{where}: index {index} of {len(values)} values; indexes start at 0")
            value = values[index]
            return value if reference.property is None else _property(where, value, reference.property)


def _matching_fields(reference: FieldValue, record: Record) -> list[Field]:
    """Return the fields with this name or, without such a field, with this label, otherwise with this type."""
    candidates = [field for field in record.fields if _has_kind(field, reference)]
    for attribute in ("name", "label", "type"):
        found = [field for field in candidates if getattr(field, attribute) == reference.field]
        if found:
            return found
    return []


def _has_kind(field: Field, reference: FieldValue) -> bool:
    return reference.kind == "any" or field.custom == (reference.kind == "custom_field")


def _property(where: str, value: JsonValue, name: str | None) -> JsonValue:
    if not isinstance(value, dict):
        raise SelectionError(f"{where}: its value has no properties; remove [{name}]")
    if name not in value:
        raise SelectionError(f"{where}: its value has no property {name!r}{_suggestion(str(name), value)}")
    return value[name]


def _is_below(folder: Folder, name: RecordName, *, recursive: bool) -> bool:
    """Return whether *folder* is the folder that *name* means or, if *recursive*, below it."""
    if len(name.parts) == 1 and name.parts[0] in folder.uids:
        return recursive or folder.uids[-1] == name.parts[0]
    return (folder.names[: len(name.parts)] if recursive else folder.names) == name.parts


def _may_be_at(names: Sequence[str | None], path: Sequence[str], *, recursive: bool) -> bool:
    """Return whether a folder whose unknown *names* are None may be the one at *path*."""
    if len(names) < len(path) or (len(names) > len(path) and not recursive):
        return names[0] is None and len(names) <= len(path)  # an unknown parent may stand for several names
    return all(name in {None, part} for name, part in zip(names, path, strict=False))


def _undecrypted_folders(uids: Iterable[str]) -> str:
    listed = sorted(uids)
    count = "1 folder whose name" if len(listed) == 1 else f"{len(listed)} folders whose names"
    return f"and Keeper sent {count} cannot be decrypted ({', '.join(listed[:_MOST_SUGGESTED])}); share it with the application again"


def _suggestion(name: str, existing: Iterable[str]) -> str:
    """Return the end of a message about *name*: similar names of *existing*, or all of them, or how many there are.

    Titles and names are not secret from anyone who may read messages about the record.
    """
    names = sorted(set(existing))
    close = nearest_words(name, names, most=_MOST_SUGGESTED, cutoff=0.5)
    if close:
        return f"; did you mean {' or '.join(map(repr, close))}?"
    if not names:
        return "; share it with the application in Keeper"
    listed = f": {', '.join(map(repr, names))}" if len(names) <= _MOST_LISTED else ""
    return f"; there is one other{listed}" if len(names) == 1 else f"; there are {len(names)} others{listed}"
