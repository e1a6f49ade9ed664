"""Select the value or the attachment of a record that a reference means, or raise an error that says what exists instead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keeper_injector_common.errors import SelectionError, UnreadableRecordError
from keeper_injector_common.records.record import NOTES, Field
from keeper_injector_common.records.similar_names import MOST_SUGGESTED, suggestion
from keeper_injector_common.references import AllValues, FieldValue, FileContent, RecordText, WholeRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keeper_injector_common.records.record import Attachment, JsonValue, Record

_MOST_LISTED = 20
"""A message lists all fields or properties if none is similar and there are at most this many."""


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


def check_not_empty(value: JsonValue, reference: FieldValue | RecordText, record: Record) -> None:
    """Raise SelectionError if *value*, which *reference* selects, is missing or empty: as a whole file or variable, it would be lost."""
    if value is not None and value != "":
        return
    if isinstance(reference, RecordText):
        raise SelectionError(f"record {record.title!r}, {reference.which}: has no text; enter it in Keeper")
    part = "" if reference.property is None else f"[{reference.property}]"
    raise SelectionError(f"record {record.title!r}, field {reference.field!r}{part}: {_NO_VALUE}")


def select_files(reference: FileContent, record: Record) -> list[Attachment]:
    """Return the attachments of *record* that *reference* means: by UID, otherwise by name, otherwise by title.

    There are several if they have the same name. Raises :class:`SelectionError` if no attachment matches, and
    :class:`UnreadableRecordError` if one that cannot be read may be the one.
    """
    for attribute in ("uid", "name", "title"):
        found = [item for item in record.attachments if getattr(item, attribute) == reference.file]
        if found:
            return found
    names = [attachment.name for attachment in record.attachments]
    if record.unreadable_attachments:
        uids = ", ".join(record.unreadable_attachments[:MOST_SUGGESTED])
        raise UnreadableRecordError(
            f"record {record.title!r}: no readable file {reference.file!r} is attached, and {len(record.unreadable_attachments)} "
            f"attached to it cannot be read ({uids}); attach it again in Keeper"
        )
    others = suggestion(reference.file, names, none="the record has no attached files")
    raise SelectionError(f"record {record.title!r}: no file {reference.file!r} is attached{others}")


def _field_value(reference: FieldValue, record: Record) -> JsonValue:
    where = f"record {record.title!r}, field {reference.field!r}"
    field = _matching_field(where, reference, record)
    values = field.readable_values
    match reference.index:
        case None if reference.property is None:
            if field.type == _ONE_TIME_CODE and not values:
                # Other fields may be empty on purpose.
                raise SelectionError(f"{where}: {_NO_VALUE}")
            return field.value
        case None:
            return _property(where, values[:1], reference.property)[0]
        case AllValues():
            if reference.property is None or not values:
                return list(values)
            return _property(where, values, reference.property)
        case int(index):
            if index >= len(values):
                found = f"index {index} of {len(values)} values; indexes start at 0" if values else _NO_VALUE
                raise SelectionError(f"{where}: {found}")
            value = values[index]
            return value if reference.property is None else _property(where, (value,), reference.property)[0]


_ONE_TIME_CODE = "oneTimeCode"
_NO_VALUE = "it has no value; enter one in Keeper"


def _matching_field(where: str, reference: FieldValue, record: Record) -> Field:
    """Return the field with this name or, without such a field, the first one with this label, otherwise with this type.

    The notes of the record are a field, too, if the reference does not say whether it means a standard or a custom one. If
    it does, it is Keeper's notation, where labels and types come first.
    """
    candidates = [field for field in record.fields if _has_kind(field, reference)]
    if reference.kind == "any" and reference.field == NOTES:
        rivals = [field.name for field in record.fields if NOTES in {field.label, field.type}]
        if rivals and not record.notes:
            raise SelectionError(f"{where}: the notes of the record are empty; write [{rivals[0]}] for its field")
        return Field(NOTES, NOTES, "", (record.notes,) if record.notes else ())
    for attribute in ("name", "label", "type") if reference.kind == "any" else ("label", "type", "name"):
        for field in candidates:
            if getattr(field, attribute) == reference.field:
                return field
    raise SelectionError(f"{where}: {_no_such_field(reference, record, candidates)}")


def _has_kind(field: Field, reference: FieldValue) -> bool:
    return reference.kind == "any" or field.custom == (reference.kind == "custom_field")


def _no_such_field(reference: FieldValue, record: Record, candidates: Sequence[Field]) -> str:
    """Return what is wrong with *reference* if *candidates*, the fields of its kind, do not have the field."""
    for field in record.links:
        if reference.field in {field.label, field.type} and _has_kind(field, reference):
            uids = [str(value) for value in field.values[:MOST_SUGGESTED]]
            if field.type == "fileRef":
                return "it refers to attached files; write keeper://RECORD/file/NAME"
            return f"it refers to another record; share that with the application and use its UID ({', '.join(uids) or 'empty'})"
    other = "field" if reference.kind == "custom_field" else "custom_field"
    if reference.kind != "any" and any(
        reference.field in {field.name, field.label, field.type} for field in record.fields
    ):
        return f"the record has no such {_KINDS[reference.kind]} field; write /{other}/ for the {_KINDS[other]} one"
    names = [field.name for field in candidates]
    none = f"the record has no {_KINDS[reference.kind]} fields".replace("  ", " ")
    others = suggestion(reference.field, names, most_listed=_MOST_LISTED, none=none)
    return f"the record has no such field{others}"


_KINDS = {"any": "", "field": "standard", "custom_field": "custom"}


def _property(where: str, values: Sequence[JsonValue], name: str | None) -> list[JsonValue]:
    """Return the property *name* of those *values* that have it; raises SelectionError if none has.

    Keeper does not require every property of a value, such as a middle name, and its SDKs skip values without it.
    """
    if not values:
        raise SelectionError(f"{where}: {_NO_VALUE}")
    objects = [value for value in values if isinstance(value, dict)]
    if not objects:
        raise SelectionError(f"{where}: its value has no properties; remove [{name}]")
    found = [value[name] for value in objects if name in value]
    if not found:
        names = {key for value in objects for key in value}
        others = suggestion(str(name), names, most_listed=_MOST_LISTED, none="the value has no properties at all")
        raise SelectionError(f"{where}: its value has no property {name!r}{others}")
    return found
