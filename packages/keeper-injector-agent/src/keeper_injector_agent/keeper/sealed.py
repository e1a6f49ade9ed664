"""Records of a large answer, which stay encrypted until somebody wants more of them than UID, title and folders.

A name that is a title can only be found if all records are decrypted. As Python objects, each is three to four times as large as its
JSON, and hardly any of them is delivered. So every record is decrypted and checked once, and what stays of it is its ciphertext.
"""

from __future__ import annotations

import binascii
import json
from typing import TYPE_CHECKING

import attrs

from keeper_injector_agent.keeper.client import CryptoUtils, KeeperFile, SdkRecord, base64_to_bytes
from keeper_injector_agent.keeper.decoding import MalformedRecordError, decode_record, parse_content
from keeper_injector_common.json_values import as_object, as_objects

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from keeper_injector_common.json_values import Json
    from keeper_injector_common.records import Record


@attrs.frozen
class SealedRecord:
    """A record that was decrypted and checked, and of which the ciphertext is left."""

    record: Record
    """Without fields, notes and attachments."""
    record_key_bytes: bytes = attrs.field(repr=False)
    ciphertext: bytes = attrs.field(repr=False)
    folder_uid: str
    inner_folder_uid: str | None
    revision: object
    files: list[KeeperFile] = attrs.field(repr=False)

    @property
    def uid(self) -> str:
        """The UID of the record."""
        return self.record.uid

    def content(self) -> object:
        """Decrypt the record again, and return its JSON."""
        return parse_content(CryptoUtils.decrypt_aes(self.ciphertext, self.record_key_bytes))


def seal(records: Iterable[SdkRecord], part: bytes) -> list[SdkRecord | SealedRecord]:
    """Return *records*, which the SDK has made of a *part* of Keeper's answer, each sealed if it is as Keeper's clients write it."""
    texts = _ciphertexts(part)
    return [_sealed(item, texts.get(str(item.uid))) or item for item in records]


def _ciphertexts(part: bytes) -> dict[str, str]:
    """Return the ciphertext of each record of a *part* by UID, without those that are in it several times."""
    found: dict[str, str] = {}
    repeated: set[str] = set()
    for raw in _raw_records(as_object(json.loads(part))):
        uid, text = str(raw.get("recordUid")), raw.get("data")
        if uid in found or not isinstance(text, str):
            repeated.add(uid)
        else:
            found[uid] = text
    return {uid: text for uid, text in found.items() if uid not in repeated}


def _raw_records(answer: Json) -> Iterator[Json]:
    yield from as_objects(answer.get("records"))
    for folder in as_objects(answer.get("folders")):
        yield from as_objects(folder.get("records"))


def _sealed(item: SdkRecord, text: str | None) -> SealedRecord | None:
    """Return *item* with its ciphertext *text*, or None if it is malformed: then the caller finds out and reports why."""
    try:
        if text is None:
            return None
        record = decode_record(str(item.uid), item.dict, (), compute=False)
        ciphertext = base64_to_bytes(text)
    except (MalformedRecordError, binascii.Error, ValueError):
        return None
    head = attrs.evolve(record, fields=(), notes="", links=())
    return SealedRecord(
        head,
        item.record_key_bytes,
        ciphertext,
        item.folder_uid,
        item.inner_folder_uid,
        item.revision,
        item.files,
    )
