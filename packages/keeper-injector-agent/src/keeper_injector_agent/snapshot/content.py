"""The content of a snapshot: Keeper's answer divided into one part for each record, and put together again.

Nothing is decrypted. What differs between two answers with the same content is left out: the pre-signed URLs of attachments,
which would also let anyone download them, and the order. ``encryptedAppKey`` is never published.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence

import attrs

from keeper_injector_common.json_values import Json, as_object, as_objects

_LEFT_OUT = frozenset(["url", "thumbnailUrl", "encryptedAppKey", "warnings"])
_EMPTY: tuple[object, ...] = (None, "", [], {})
"""Servers differ in whether they send these values or leave them out."""
_UIDS = ("recordUid", "folderUid", "fileUid")
_SEALED = frozenset(["recordKey", "data", "folderKey", "fileKey", "appData"])
"""The keys of ciphertexts."""
BLOB = "blob"
"""The key of an attachment for the digest of its encrypted content; missing if the relay does not have it."""


@attrs.frozen
class Part:
    """A file of a snapshot that is named by its content."""

    content: bytes = attrs.field(repr=False)

    @property
    def digest(self) -> str:
        """SHA-256 of the content, in hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


@attrs.frozen
class Snapshot:
    """An index, and the records that it refers to by digest."""

    index: Part
    records: Mapping[str, Part]


def canonical(value: object) -> object:
    """Return *value* without what differs between equal answers, and with lists of records, folders and files in order."""
    if isinstance(value, dict):
        kept = {key: canonical(item) for key, item in value.items() if key not in _LEFT_OUT}
        return {key: item for key, item in kept.items() if item not in _EMPTY}
    if isinstance(value, list):
        items = [canonical(item) for item in value]
        return sorted(items, key=_position) if all(map(_uid, items)) else items
    return value


def _uid(item: object) -> str:
    return next((str(item[key]) for key in _UIDS if key in item), "") if isinstance(item, dict) else ""


def _position(item: object) -> tuple[str, str]:
    """Return the position in a list: by UID. A record can occur twice, so the content decides between those."""
    return _uid(item), _text(item)


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _part(value: object) -> Part:
    return Part(_text(value).encode())


def divide(answer: Json, folders: Json, blobs: Mapping[str, str]) -> Snapshot:
    """Return the snapshot of Keeper's *answer* to ``get_secret`` and of its answer *folders* to ``get_folders``.

    *blobs* has the digests of the encrypted attachments that are published, by :func:`attachment_id`.
    """
    parts: dict[str, Part] = {}

    def divided(records: object) -> list[list[str]]:
        found = []
        for record in as_objects(records):
            for file in as_objects(record.get("files")):
                if (digest := blobs.get(attachment_id(file))) is not None:
                    file[BLOB] = digest
            part = _part(record)
            parts[part.digest] = part
            found.append([str(record.get("recordUid")), part.digest])
        return found

    content = as_object(canonical(answer))
    index = {
        "answer": {key: value for key, value in content.items() if key not in {"records", "folders"}},
        "records": divided(content.get("records")),
        "folders": [
            {**folder, "records": divided(folder.get("records"))} for folder in as_objects(content.get("folders"))
        ],
        "paths": as_objects(as_object(canonical(folders)).get("folders")),
    }
    return Snapshot(_part(index), parts)


def outline(answer: Json) -> str:
    """Return a digest of Keeper's *answer* without ciphertexts: of UIDs, revisions, rights, folders and attachments."""
    return _part(_without_ciphertexts(canonical(answer))).digest


def _without_ciphertexts(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_ciphertexts(item) for key, item in value.items() if key not in _SEALED}
    if isinstance(value, list):
        return [_without_ciphertexts(item) for item in value]
    return value


def records_of(answer: Json) -> Iterator[Json]:
    """Yield each record in Keeper's *answer*, those in folders too; one can occur several times."""
    for holder in (answer, *as_objects(answer.get("folders"))):
        yield from as_objects(holder.get("records"))


def attachments_of(answer: Json) -> Iterator[Json]:
    """Yield the description of each attachment in Keeper's *answer*, with its URL."""
    for record in records_of(answer):
        yield from as_objects(record.get("files"))


def attachment_id(file: Json) -> str:
    """Identify the encrypted content of an attachment by its UID and its key, which change with it."""
    return f"{file.get('fileUid')} {_part([file.get('fileKey') or '', file.get('data') or '']).digest}"


class Index:
    """An index that a reader has fetched and checked against its digest."""

    def __init__(self, content: bytes) -> None:
        """Read *content*; raises ValueError if it is not an index."""
        self._values = as_object(json.loads(content))
        self._folders = as_objects(self._values.get("folders"))
        if not {"answer", "records", "folders", "paths"} <= self._values.keys():
            raise ValueError("not an index")

    def parts(self, uids: Sequence[str] = ()) -> list[str]:
        """Return the digests of all records, or of those with *uids*, each once and in the order of the index."""
        wanted = set(uids)
        holders = (self._values, *self._folders)
        found = (digest for holder in holders for uid, digest in _entries(holder) if not wanted or uid in wanted)
        return list(dict.fromkeys(found))

    def identity(self, uids: Sequence[str], *, folders: bool) -> bytes:
        """Return what the answers for *uids* depend on: equal values, equal answers."""
        return _text([self.parts(uids), self._values["answer"], self._values["paths"] if folders else None]).encode()

    def answer(self, uids: Sequence[str], part: Callable[[str], Json]) -> Json:
        """Return the answer to ``get_secret`` for all records, or those with *uids*; *part* returns a record by digest."""
        wanted = set(uids)

        def records(holder: Json) -> list[Json]:
            return [part(digest) for uid, digest in _entries(holder) if not wanted or uid in wanted]

        folders = [{**folder, "records": records(folder)} for folder in self._folders]
        kept = [folder for folder in folders if folder["records"] or not wanted]
        return {**as_object(self._values["answer"]), "records": records(self._values), "folders": kept}

    def folders(self) -> Json:
        """Return the answer to ``get_folders``."""
        return {"folders": self._values["paths"]}


def _entries(holder: Json) -> list[tuple[str, str]]:
    """Return UID and digest of each record in the index or in one of its folders; raises ValueError."""
    return [(str(uid), str(digest)) for uid, digest in holder.get("records") or ()]
