"""What a template sees of a record: its fields by name, and what every record has."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from keeper_injector_common.errors import FormatError, TemplateError
from keeper_injector_common.patterns import pattern
from keeper_injector_common.records.attachments import check_readable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from keeper_injector_common.records.record import JsonValue, Record

_OF_EVERY_RECORD = ("title", "uid", "type", "notes", "files")
"""What templates know of every record besides its fields."""
_NAMED_FILE = pattern(r"""\bindex\s+\.files\s+(?:"([^"\\]*)"|`([^`]*)`)""")


def template_data(record: Record, template: str, download: Callable[[], Mapping[str, bytes]]) -> dict[str, JsonValue]:
    """Return what *template* sees of *record*; *download* returns the attachments by name, and is called if it mentions them.

    Raises TemplateError if a name that the template uses means two things, and FormatError if an attachment is not text.
    """
    values = record.named_values()
    for name in _OF_EVERY_RECORD:
        if name in values and name != "notes" and _mentions(template, name):
            raise TemplateError(
                f"record {record.title!r}: {name!r} is a field of the record, and in templates the {name} of every record",
                "rename the field in Keeper",
            )
    data: dict[str, JsonValue] = {
        "title": record.title,
        "uid": record.uid,
        "type": record.type,
        "notes": record.notes,
        **values,
    }
    if _mentions(template, "files"):
        if _may_show_others(template, {item.name for item in record.attachments}):
            check_readable(record)
        data["files"] = {name: _text(record, name, content) for name, content in download().items()}
    return data


def _mentions(template: str, name: str) -> bool:
    return re.search(rf"""\.{name}\b|["`]{name}["`]""", template) is not None


def _may_show_others(template: str, names: Collection[str]) -> bool:
    """Return whether *template* may show other attachments than those called *names*, for example all of them."""
    named = [first or second for first, second in _NAMED_FILE.findall(template)]
    return not set(named) <= set(names) or _mentions(_NAMED_FILE.sub("", template), "files")


def _text(record: Record, name: str, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise FormatError(
            f"record {record.title!r}: file {name!r} is not text; deliver it by itself, without a template"
        ) from None
