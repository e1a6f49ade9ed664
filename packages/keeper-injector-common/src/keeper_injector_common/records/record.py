"""Keeper's data without Keeper's SDK: records, their fields and attachments, whose values refuse to be printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]
"""What a field can hold: Keeper keeps every value as JSON."""

NOTES = "notes"
"""The name under which a record's notes stand among its fields."""


@attrs.frozen
class Field:
    """One field of a record, standard or custom."""

    name: str
    """How references and formats call it: its label, else its type, numbered where names repeat."""
    type: str
    label: str
    values: tuple[JsonValue, ...] = attrs.field(repr=False)
    custom: bool = False

    @property
    def value(self) -> JsonValue:
        """The value as files show it: plain when single, a list when several, ``""`` when none."""
        match self.values:
            case ():
                return ""
            case (single,):
                return single
            case several:
                return list(several)


@attrs.frozen
class Attachment:
    """A file attached to a record; its content is fetched apart, and only when it changed."""

    uid: str
    name: str
    title: str = ""
    size: int = 0
    revision: str = ""
    """Changes whenever the content does (Keeper: UID and time of last modification)."""


@attrs.frozen
class Record:
    """A record as shared with this application."""

    uid: str
    title: str
    type: str
    fields: tuple[Field, ...] = attrs.field(repr=False)
    notes: str = attrs.field(default="", repr=False)
    attachments: tuple[Attachment, ...] = ()
    folder: tuple[str, ...] = ()
    """Names of the folders above it, outermost first; empty when folders were not asked for or it has none."""
    folder_uids: tuple[str, ...] = ()
    """UIDs of the same folders."""

    def named_values(self) -> dict[str, JsonValue]:
        """Return every field by name, in the record's order, notes last when there are any."""
        values = {field.name: field.value for field in self.fields}
        if self.notes:
            values.setdefault(NOTES, self.notes)
        return values


def named_fields(standard: list[Mapping[str, JsonValue]], custom: list[Mapping[str, JsonValue]]) -> tuple[Field, ...]:
    """Build fields from the ``fields`` and ``custom`` lists of a record's JSON.

    A field is named by its label, else by its type; the second of one name is ``name_2``, the third ``name_3``.
    References to other records (``fileRef`` and its like) are Keeper's own bookkeeping and are left out.
    """
    fields: list[Field] = []
    taken: set[str] = set()
    for is_custom, items in ((False, standard), (True, custom)):
        for item in items:
            kind = str(item.get("type") or "")
            if kind in _LINKS:
                continue
            label = str(item.get("label") or "")
            name = _free_name(label or kind or "field", taken)
            taken.add(name)
            fields.append(Field(name=name, type=kind, label=label, values=_values(item), custom=is_custom))
    return tuple(fields)


_LINKS = frozenset({"fileRef", "cardRef", "addressRef", "recordRef"})


def _values(item: Mapping[str, JsonValue]) -> tuple[JsonValue, ...]:
    value = item.get("value")
    return tuple(value) if isinstance(value, list) else () if value is None else (value,)


def _free_name(name: str, taken: set[str]) -> str:
    candidate, number = name, 1
    while candidate in taken:
        number += 1
        candidate = f"{name}_{number}"
    return candidate
