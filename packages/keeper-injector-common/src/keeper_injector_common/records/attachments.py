"""Attachments of one name: a record may have several, for example the old and the new certificate. The newest one counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from keeper_injector_common.errors import SelectionError, UnreadableRecordError
from keeper_injector_common.records.similar_names import MOST_SUGGESTED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from keeper_injector_common.records.record import Attachment, Record

Warn = Callable[[str], None]
"""Takes the text of a warning."""


def newest_by_name(record: Record, *, strict: bool, warn: Warn) -> dict[str, Attachment]:
    """Return the newest attachment of each name, in the order of the record.

    Older ones are named in a warning, or raise SelectionError if *strict*.
    """
    by_name: dict[str, list[Attachment]] = {}
    for attachment in record.attachments:
        by_name.setdefault(attachment.name, []).append(attachment)
    return {name: newest(record, name, found, strict=strict, warn=warn) for name, found in by_name.items()}


def check_readable(record: Record) -> None:
    """Raise UnreadableRecordError if an attachment of *record* cannot be read: all of them would be without it."""
    if record.unreadable_attachments:
        uids = ", ".join(record.unreadable_attachments[:MOST_SUGGESTED])
        count = len(record.unreadable_attachments)
        raise UnreadableRecordError(
            f"record {record.title!r}: {count} attached to it cannot be read ({uids}); attach it again in Keeper"
        )


def newest(record: Record, name: str, found: Iterable[Attachment], *, strict: bool, warn: Warn) -> Attachment:
    """Return the attachment that was modified last of those *found* under *name*, at least one.

    The others are named in a warning, or raise SelectionError if *strict*.
    """
    last, *older = sorted(found, key=lambda item: (item.modified, item.uid), reverse=True)
    if older:
        uids = ", ".join(item.uid for item in (last, *older))
        text = f"record {record.title!r} ({record.uid}): {len(older) + 1} attached files are named {name!r}"
        if strict:
            raise SelectionError(f"{text}; remove the old ones in Keeper, or write the UID of one: {uids}")
        warn(f"{text}, and the newest is used: {last.uid}; remove the old ones in Keeper")
    return last
