"""Records as this project sees them, without Keeper's SDK: fields and attachments, whose values ``repr`` never shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from keeper_injector_common.errors import UnreadableFieldError

if TYPE_CHECKING:
    from collections.abc import Mapping

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]
"""A value of a field; Keeper stores every value as JSON."""

_NOTES = "notes"
"""The name of a record's notes among its named values."""


@attrs.frozen
class Field:
    """A standard or custom field of a record."""

    name: str
    """The name in references and files: the label or, without one, the type, numbered if it is not unique."""
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

    def named_values(self) -> dict[str, JsonValue]:
        """Return the value of every field by name, in the order of the record; notes that are not empty come last."""
        values = {field.name: field.value for field in self.fields}
        if self.notes:
            values.setdefault(_NOTES, self.notes)
        return values


def named_fields(standard: list[Mapping[str, JsonValue]], custom: list[Mapping[str, JsonValue]]) -> tuple[Field, ...]:
    """Return the fields in the lists ``fields`` and ``custom`` of a record's JSON, each with a unique name.

    The name is the label or, without one, the type; the second field of a name becomes ``name_2``, the third ``name_3``.
    Links to other records (``fileRef`` and others) are left out, because their values mean something to Keeper only.

    >>> [field.name for field in named_fields([{"type": "login", "value": ["a"]}], [{"type": "text", "label": "login"}])]
    ['login', 'login_2']
    """
    fields: list[Field] = []
    taken: set[str] = set()
    for is_custom, items in ((False, standard), (True, custom)):
        for item in items:
            field_type = str(item.get("type") or "")
            if field_type in _LINKS:
                continue
            label = str(item.get("label") or "")
            name = _unique_name(label or field_type or "field", taken)
            taken.add(name)
            fields.append(Field(name=name, type=field_type, label=label, values=_values(item), custom=is_custom))
    return tuple(fields)


_LINKS = frozenset({"fileRef", "cardRef", "addressRef", "recordRef"})


def _values(item: Mapping[str, JsonValue]) -> tuple[JsonValue, ...]:
    value = item.get("value")
    return tuple(value) if isinstance(value, list) else () if value is None else (value,)


def _unique_name(name: str, taken: set[str]) -> str:
    candidate, number = name, 1
    while candidate in taken:
        number += 1
        candidate = f"{name}_{number}"
    return candidate
