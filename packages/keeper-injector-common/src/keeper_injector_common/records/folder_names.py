"""The names of a folder's files: one for each record, and never one name for two records.

A file is named after the title of its record. The UID is added to the name if

- another record of the folder has the same title. A record that already had the plain name keeps it, so that a duplicate in Keeper
  does not take a file away from a running application. Without such a record, all of them get their UIDs;
- the title ends in the UID of another record, so that it could be the name of that record's file;
- the plain name belongs to a record that cannot be decrypted at the moment, and whose title is therefore unknown;
- the plain name belonged to another record, which is gone or has another title, and ``strict-lookup`` is set;
- the name is longer than file systems allow. Then the title is shortened, too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import attrs

from keeper_injector_common.plan.delivery import file_name

if TYPE_CHECKING:
    from keeper_injector_common.records.library import Library
    from keeper_injector_common.records.record import Record

LONGEST_NAME = 255
"""Bytes of a file name (NAME_MAX of Linux)."""


@attrs.frozen
class FileName:
    """The name of a record's file."""

    name: str
    repeated: bool
    """Whether another record claims the plain name, so that the UID was added."""


def name_files(
    records: Sequence[Record], suffix: str, owners: Mapping[str, str], library: Library, *, strict: bool = False
) -> dict[str, FileName]:
    """Return the name of the file of each of *records*, by UID.

    *owners* has the UIDs of records by the names that their files had before; *library* has all records. If *strict*, no record
    takes a name that another one had, and a file that has a UID in its name keeps it.
    """
    uids = {record.uid for record in library.records} | set(library.unreadable)
    lengths = {len(uid) for uid in uids}
    uids_of_owners = set(owners.values())
    plain = {record.uid: file_name(record.title) for record in records}
    with_uid = {
        uid
        for uid, title in plain.items()
        if owners.get(f"{title}{suffix}") != uid
        and (_ends_in_other(title, uid, uids, lengths) or (strict and owners.get(_with_uid(title, uid, suffix)) == uid))
    }
    names = {uid: (_with_uid if uid in with_uid else _shortened)(title, uid, suffix) for uid, title in plain.items()}
    while True:
        claims: dict[str, list[str]] = {}
        for uid, name in names.items():
            claims.setdefault(name, []).append(uid)
        yielding = {
            uid
            for name, uids in claims.items()
            for uid in _yielding(uids, owners.get(name), with_uid, uids_of_owners if strict else library.unreadable)
            if uid not in with_uid
        }
        if not yielding:
            return {uid: FileName(name, uid in with_uid) for uid, name in names.items()}
        with_uid |= yielding
        names.update({uid: _with_uid(plain[uid], uid, suffix) for uid in yielding})


def _ends_in_other(title: str, own: str, uids: Collection[str], lengths: Collection[int]) -> bool:
    """Return whether *title* ends in one of *uids* other than its *own*; they have these *lengths*."""
    ends = {title[-length:] for length in lengths if title[:-length].endswith("-")}
    return not (ends - {own}).isdisjoint(uids)


def _yielding(
    uids: Sequence[str], owner: str | None, with_uid: Collection[str], protected: Collection[str]
) -> Collection[str]:
    """Return those of *uids*, which claim one name, that cannot have it. A *protected* owner has it in any case."""
    if owner in uids or owner in protected:
        return [uid for uid in uids if uid != owner]
    if len(uids) == 1:
        return ()
    keeping = [uid for uid in uids if uid in with_uid]
    return [uid for uid in uids if uid not in keeping]


def _shortened(title: str, uid: str, suffix: str) -> str:
    name = f"{title}{suffix}"
    return name if len(name.encode()) <= LONGEST_NAME else _with_uid(title, uid, suffix)


def _with_uid(title: str, uid: str, suffix: str) -> str:
    end = f"-{uid}{suffix}"
    head = title.encode()[: LONGEST_NAME - len(end.encode())]
    return head.decode(errors="ignore") + end  # a character that was cut in the middle is left out
