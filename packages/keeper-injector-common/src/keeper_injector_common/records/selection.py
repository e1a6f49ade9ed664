"""Reference + records → what it names, or a :class:`SelectionError` that tells what there is instead."""

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

    from keeper_injector_common.records.record import Attachment, Field, JsonValue, Record

MOST_NAMED = 3
"""How many near matches a message names."""
FEW = 6
"""So many names are listed when none of them is near."""


@attrs.frozen
class Library:
    """The records that this application may see, and which of them could not be decrypted."""

    records: tuple[Record, ...]
    unreadable: tuple[str, ...] = ()
    """UIDs of records that Keeper sent but that could not be decrypted."""

    def find(self, name: RecordName, *, strict: bool = False) -> Record:
        """Return the record called *name*: by UID, else by title, else by folders and title.

        Among several of one title the lowest UID wins, unless *strict*. Raises :class:`RecordGoneError`,
        :class:`SelectionError` for too many, and :class:`UnreadableRecordError` when it may be one that could not be decrypted.
        """
        matches = self.matches(name)
        if not matches:
            raise self._not_found(name)
        if strict and len(matches) > 1:
            uids = ", ".join(record.uid for record in matches)
            raise SelectionError(f"record {name.title!r}: {len(matches)} records have this title; use a UID of {uids}")
        return matches[0]

    def matches(self, name: RecordName) -> Sequence[Record]:
        """Return every record called *name*, lowest UID first; a UID has one at most."""
        by_uid = [record for record in self.records if record.uid == name.title]
        if by_uid:
            return by_uid
        *folder, title = name.parts
        by_title = [record for record in self.records if record.title == name.title]
        found = by_title or [
            record
            for record in self.records
            if folder and title in {record.title, record.uid} and record.folder == tuple(folder)
        ]
        return sorted(found, key=lambda record: record.uid)

    def in_folder(self, folder: RecordName, *, recursive: bool = False) -> tuple[Record, ...]:
        """Return the records of a *folder* given by its path of names or its UID.

        Raises :class:`RecordGoneError` where there is none, :class:`UnreadableRecordError` when that may not be so.
        """
        found = [record for record in self.records if _lies_in(record, folder, recursive=recursive)]
        if not found and self.unreadable:
            raise UnreadableRecordError(
                f"folder {folder.title!r}: no record in it can be read, {self._not_decrypted()}"
            )
        if not found:
            paths = {"/".join(record.folder) for record in self.records if record.folder}
            raise RecordGoneError(
                f"folder {folder.title!r}: no record in it is shared here{_near(folder.title, paths)}"
            )
        return tuple(sorted(found, key=lambda record: record.uid))

    def _not_found(self, name: RecordName) -> RecordGoneError | UnreadableRecordError:
        where = f"record {name.title!r}"
        if name.title in self.unreadable:
            return UnreadableRecordError(
                f"{where}: Keeper sent it, but it cannot be decrypted; share it with the application again"
            )
        near = _near(name.title, [record.title for record in self.records])
        if self.unreadable:
            # Its title is encrypted too.
            return UnreadableRecordError(f"{where}: none of that title can be read, {self._not_decrypted()}{near}")
        return RecordGoneError(f"{where}: not shared with this application{near}")

    def _not_decrypted(self) -> str:
        uids = ", ".join(sorted(self.unreadable)[:MOST_NAMED])
        count = len(self.unreadable)
        return f"and {count} sent by Keeper cannot be decrypted ({uids}); share it with the application again"


def select_value(reference: WholeRecord | FieldValue | RecordText, record: Record) -> JsonValue:
    """Return the value that *reference* names of its *record*; a whole record gives its values by name.

    Raises :class:`SelectionError`.
    """
    match reference:
        case WholeRecord():
            return dict(record.named_values())
        case RecordText(_, "notes"):
            return record.notes
        case RecordText(_, which):
            return record.type if which == "type" else record.title
        case FieldValue():
            return _value(reference, record)


def select_file(reference: FileContent, record: Record) -> Attachment:
    """Return the attachment that *reference* names, by name, title or UID; raises :class:`SelectionError`."""
    for attachment in record.attachments:
        if reference.file in {attachment.name, attachment.title, attachment.uid}:
            return attachment
    names = [attachment.name for attachment in record.attachments]
    raise SelectionError(
        f"record {record.title!r}: no file {reference.file!r} is attached{_near(reference.file, names)}"
    )


def _value(reference: FieldValue, record: Record) -> JsonValue:
    where = f"record {record.title!r}, field {reference.field!r}"
    if reference.kind == "any" and reference.field == "notes" and not _fields(reference, record):
        return record.notes
    found = _fields(reference, record)
    if not found:
        names = [field.name for field in record.fields if reference.kind == "any" or _of_kind(field, reference)]
        raise SelectionError(f"{where}: the record has no such field{_near(reference.field, names)}")
    field = found[0]
    match reference.index:
        case None if reference.property is None:
            return field.value
        case None:
            return _property(where, field.values[0] if field.values else None, reference.property)
        case AllValues():
            if reference.property is None:
                return list(field.values)
            return [_property(where, value, reference.property) for value in field.values]
        case int(index):
            if index >= len(field.values):
                raise SelectionError(f"{where}: index {index} of {len(field.values)} values; the first is 0")
            value = field.values[index]
            return value if reference.property is None else _property(where, value, reference.property)


def _fields(reference: FieldValue, record: Record) -> list[Field]:
    """Fields by final name, else by label, else by type, as the kind of notation allows."""
    candidates = [field for field in record.fields if _of_kind(field, reference)]
    for attribute in ("name", "label", "type"):
        found = [field for field in candidates if getattr(field, attribute) == reference.field]
        if found:
            return found
    return []


def _of_kind(field: Field, reference: FieldValue) -> bool:
    return reference.kind == "any" or field.custom == (reference.kind == "custom_field")


def _property(where: str, value: JsonValue, name: str | None) -> JsonValue:
    if not isinstance(value, dict):
        raise SelectionError(f"{where}: its value has no properties; leave [{name}] out")
    if name not in value:
        raise SelectionError(f"{where}: its value has no property {name!r}{_near(str(name), value)}")
    return value[name]


def _lies_in(record: Record, folder: RecordName, *, recursive: bool) -> bool:
    if len(folder.parts) == 1 and folder.parts[0] in record.folder_uids:
        return recursive or record.folder_uids[-1] == folder.parts[0]
    if record.folder == folder.parts:
        return True
    return recursive and record.folder[: len(folder.parts)] == folder.parts


def _near(name: str, known: Iterable[str]) -> str:
    """Name what was probably meant; titles are no secrets to whoever may read the record's messages."""
    names = sorted(set(known))
    close = nearest_words(name, names, most=MOST_NAMED, cutoff=0.5)
    if close:
        return f"; did you mean {' or '.join(map(repr, close))}?"
    if not names:
        return "; share it with the application in Keeper"
    listed = f": {', '.join(map(repr, names))}" if len(names) <= FEW else ""
    return f"; there is one other{listed}" if len(names) == 1 else f"; there are {len(names)} others{listed}"
