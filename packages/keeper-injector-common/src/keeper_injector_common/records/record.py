"""Records as this project sees them, without Keeper's SDK: fields and attachments, whose values ``repr`` never shows."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import attrs

from keeper_injector_common.errors import UnreadableFieldError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]
"""A value of a field; Keeper stores every value as JSON."""

NOTES = "notes"
"""The name of a record's notes among its named values. No field has it."""


@attrs.frozen
class Field:
    """A standard or custom field of a record."""

    name: str
    """The name in references, files, variables and templates, which no other field has; see :func:`named_fields`."""
    type: str
    label: str
    values: tuple[JsonValue, ...] = attrs.field(repr=False)
    custom: bool = False
    fault: str = ""
    """Why the values could not be computed, as a whole message; empty if they could."""

    @property
    def value(self) -> JsonValue:
        """The value as files show it: one value as it is, several as a list, none as ``""``; raises UnreadableFieldError."""
        match self.readable_values:
            case ():
                return ""
            case (single,):
                return single
            case several:
                return list(several)

    @property
    def readable_values(self) -> tuple[JsonValue, ...]:
        """The values; raises UnreadableFieldError if they could not be computed."""
        if self.fault:
            raise UnreadableFieldError(self.fault)
        return self.values


@attrs.frozen
class Attachment:
    """A file attached to a record, without its content, which is downloaded only when it has changed."""

    uid: str
    name: str
    title: str = ""
    size: int = 0
    """Bytes."""
    revision: str = ""
    """Changes whenever the content does (in Keeper: UID and time of the last modification)."""
    modified: int = 0
    """When the content was last modified, in milliseconds since the epoch; 0 if that is unknown."""


@attrs.frozen
class Folder:
    """A folder that contains a record, as its path from the shared folder, which is the outermost one."""

    names: tuple[str | None, ...]
    """None for a folder whose name could not be decrypted."""
    uids: tuple[str, ...]


@attrs.frozen
class Record:
    """A record that is shared with this application."""

    uid: str
    title: str
    type: str
    fields: tuple[Field, ...] = attrs.field(repr=False)
    notes: str = attrs.field(default="", repr=False)
    attachments: tuple[Attachment, ...] = ()
    unreadable_attachments: tuple[str, ...] = ()
    """UIDs of attachments that could not be decrypted; their names are unknown."""
    folders: tuple[Folder, ...] = ()
    """Every folder that contains the record or a shortcut to it; empty if it has none or folders were not fetched."""
    links: tuple[Field, ...] = ()
    """Fields that refer to other records, whose values are UIDs."""

    def named_values(self) -> dict[str, JsonValue]:
        """Return the value of every field by name, in the order of the record; notes that are not empty come last."""
        values = {field.name: field.value for field in self.fields}
        if self.notes:
            values[NOTES] = self.notes
        return values


def named_fields(standard: list[Mapping[str, JsonValue]], custom: list[Mapping[str, JsonValue]]) -> tuple[Field, ...]:
    """Return the fields in the lists ``fields`` and ``custom`` of a record's JSON, each with a unique name.

    The first field with a label or, if it has no label, a type has that as its name. Each later one gets the first of
    ``name_2``, ``name_3`` … that is not the label or type of any field. ``notes`` always means the record's notes, so that
    a field of this name is ``notes_2``, also while the notes are empty. Links to other records are left out; see
    :func:`links_to_records`.

    >>> labels = [{"type": "text", "label": label} for label in ("login", "region", "region", "region_2", "notes")]
    >>> [field.name for field in named_fields([{"type": "login", "value": ["a"]}], labels)]
    ['login', 'login_2', 'region', 'region_3', 'region_2', 'notes_2']
    """
    fields = [field for field in _unnamed_fields(standard, custom) if field.type not in _LINKS]
    reserved = {NOTES, *(field.name for field in fields)}
    numbered = {NOTES: _numbered(NOTES, reserved)}
    named = []
    for field in fields:
        if field.name in numbered:
            named.append(attrs.evolve(field, name=next(numbered[field.name])))
        else:
            numbered[field.name] = _numbered(field.name, reserved)
            named.append(field)
    return tuple(named)


def _numbered(name: str, reserved: set[str]) -> Iterator[str]:
    """Yield ``name_2``, ``name_3`` …, without those that are *reserved* or have been yielded for another name."""
    for number in count(2):
        candidate = f"{name}_{number}"
        if candidate not in reserved:
            reserved.add(candidate)
            yield candidate


def links_to_records(
    standard: list[Mapping[str, JsonValue]], custom: list[Mapping[str, JsonValue]]
) -> tuple[Field, ...]:
    """Return the fields whose values are UIDs of other records (``fileRef`` and others), named by label or type."""
    return tuple(field for field in _unnamed_fields(standard, custom) if field.type in _LINKS)


_LINKS = frozenset({"fileRef", "cardRef", "addressRef", "recordRef"})


def _unnamed_fields(standard: list[Mapping[str, JsonValue]], custom: list[Mapping[str, JsonValue]]) -> Iterator[Field]:
    """Yield all fields, with the names that they would have if no other field had them."""
    for is_custom, items in ((False, standard), (True, custom)):
        for item in items:
            field_type, label = str(item.get("type") or ""), str(item.get("label") or "")
            yield Field(label or field_type or "field", field_type, label, _values(item), is_custom)


def _values(item: Mapping[str, JsonValue]) -> tuple[JsonValue, ...]:
    value = item.get("value")
    return tuple(value) if isinstance(value, list) else () if value is None else (value,)
