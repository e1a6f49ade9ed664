"""Implements ``Vault`` with Keeper's SDK. The SDK does protocol and cryptography; this module makes it safe to depend on.

What the SDK (17.3.0) does on its own and must not do here: wait indefinitely (it has no timeouts), sleep for minutes when
throttled, loop when a pinned server key is out of date, drop a whole folder because one of its records is damaged, return
no folder because one is damaged, and return no records for an empty response.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs
from cryptography.exceptions import InvalidTag

from keeper_injector_agent.errors import TransientVaultError
from keeper_injector_agent.keeper.client import (
    ConfigKeys,
    CryptoUtils,
    KeeperFile,
    QueryOptions,
    SdkRecord,
    base64_to_bytes,
    translate_errors,
)
from keeper_injector_agent.keeper.decoding import MalformedRecordError, decode_attachment, decode_record, parse_content
from keeper_injector_agent.keeper.decryption import StreamDecryption
from keeper_injector_agent.keeper.folders import folders_of_record, read_folders
from keeper_injector_agent.keeper.sealed import SealedRecord, seal
from keeper_injector_common.json_values import as_object, as_objects
from keeper_injector_common.records import Library

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from keeper_injector_agent.keeper.client import Client
    from keeper_injector_common.records import Attachment, Folder, Record

log = logging.getLogger(__name__)


@attrs.define
class _OpenedRecord:
    """A decrypted record for which the SDK has no class, because it is malformed or an attachment is damaged."""

    uid: str
    content: bytes = attrs.field(repr=False)
    record_key_bytes: bytes = attrs.field(repr=False)
    folder_uid: str
    revision: object
    files: list[KeeperFile] = attrs.field(factory=list)
    unreadable_files: list[str] = attrs.field(factory=list)


class KeeperVault:
    """The records that a KSM application shares with a device. Implements the vault port; without retries."""

    def __init__(self, client: Client) -> None:
        """Use the *client* of a bound KSM configuration; sends no request."""
        self._transport = client.transport
        self._client = client
        self._app_key = base64_to_bytes(client.config.get(ConfigKeys.KEY_APP_KEY))
        self._files: dict[tuple[str, str], Any] = {}
        self._sealed: dict[str, SealedRecord] = {}
        self._opened: dict[str, Record] = {}
        """Records that were sealed, with their content."""

    @property
    def server_key_id(self) -> str:
        """The server key in use; it changes when Keeper asks for another."""
        return self._client.server_key_id

    def fetch(self, uids: Sequence[str] = (), *, folders: bool = False) -> Library:
        """Fetch all records, or those with *uids*; see :meth:`~keeper_injector_agent.keeper.vault.Vault.fetch`."""
        options = QueryOptions(records_filter=list(uids) or None, folders_filter=None, request_links=None)
        response = translate_errors(lambda: self._client.fetch(options, seal))
        known = self._folders() if folders else None
        for warning in response.warnings if isinstance(response.warnings, list) else ():
            log.warning("keeper.warning", extra={"message_from_keeper": str(warning)})
        readable, locations, unreadable = _decrypted_records(response, self._app_key)
        records, malformed = [], []
        self._sealed, self._opened = {}, {}
        for item in readable:
            try:
                folders_of = () if known is None else folders_of_record(locations[str(item.uid)], known)
                if isinstance(item, SealedRecord):
                    self._sealed[item.uid] = item
                    records.append(attrs.evolve(item.record, folders=folders_of))
                    continue
                records.append(self._record(item, folders_of))
            except MalformedRecordError as error:
                malformed.append(item.uid)
                log.warning("record.malformed", extra={"uid": item.uid, "cause": str(error)})
            except Exception as error:  # noqa: BLE001 - whatever one record contains, it must not block the others
                malformed.append(item.uid)
                log.warning("record.malformed", extra={"uid": item.uid, "cause": type(error).__name__})
        hidden = (*unreadable, *malformed)
        where = {} if known is None else {uid: folders_of_record(locations[uid], known) for uid in hidden}
        return Library(tuple(records), hidden, tuple(malformed), where, self._unsealed)

    def _unsealed(self, record: Record) -> Record:
        """Return a record of the library with its content."""
        sealed = self._sealed.pop(record.uid, None)
        if sealed is not None:
            self._opened[record.uid] = self._record(sealed, record.folders)
        return self._opened.get(record.uid, record)

    def download(self, record: Record, attachment: Attachment) -> bytes:
        """Download and decrypt an attachment of a record from the last :meth:`fetch`."""
        file, record_key = self._files[record.uid, attachment.uid]
        try:
            # Not the SDK's get_file_data, which holds the attachment three times, and waits for it without a timeout.
            decryption = StreamDecryption(CryptoUtils.decrypt_aes(base64_to_bytes(file["fileKey"]), record_key))
            self._transport.download(file.get("url"), decryption.receive)
            content = decryption.finish()
        except (InvalidTag, ValueError):
            raise TransientVaultError(
                f"record {record.title!r}: file {attachment.name!r} cannot be decrypted; its download URL may have expired"
            ) from None
        return content

    def _folders(self) -> dict[str, Folder]:
        sent = as_objects(as_object(translate_errors(lambda: self._client.encrypted("get_folders"))).get("folders"))
        return read_folders(
            sent,
            lambda key: CryptoUtils.decrypt_aes(base64_to_bytes(key), self._app_key),
            lambda data, key: CryptoUtils.decrypt_aes_cbc(base64_to_bytes(data), key),
        )

    def _record(self, item: SdkRecord | _OpenedRecord | SealedRecord, folders: tuple[Folder, ...]) -> Record:
        attachments, unreadable = [], [*item.unreadable_files] if isinstance(item, _OpenedRecord) else []
        for file in item.files:
            try:
                attachments.append(decode_attachment(file.f.get("fileUid"), file.meta_dict))
            except MalformedRecordError as error:
                unreadable.append(_file_uid(file.f))
                log.warning(
                    "attachment.unreadable", extra={"uid": item.uid, "file": unreadable[-1], "cause": str(error)}
                )
            else:
                self._files[item.uid, attachments[-1].uid] = (file.f, item.record_key_bytes)
        if isinstance(item, SealedRecord):
            content = item.content()
        else:
            content = parse_content(item.content) if isinstance(item, _OpenedRecord) else item.dict
        record = decode_record(str(item.uid), content, attachments, folders)
        return attrs.evolve(record, unreadable_attachments=tuple(unreadable))


def _decrypted_records(
    response: Any, app_key: bytes
) -> tuple[list[SdkRecord | _OpenedRecord | SealedRecord], dict[str, list[str]], list[str]]:
    """Return every record once, by UID the UIDs of all folders it is in, and the UIDs of the records that no key decrypts.

    Keeper sends a record several times: once for each of its folders, and again if it is also shared by itself. The
    newest revision is returned.

    The SDK drops a folder with all its records if one is damaged, and tries only the application's key on records that
    came outside their folder (fixed in the unreleased 17.4.0). Both are decrypted again here, record by record.
    """
    found: dict[str, SdkRecord | _OpenedRecord | SealedRecord] = {}
    locations: dict[str, list[str]] = {}
    unreadable: list[str] = []

    def add(uid: str, item: SdkRecord | _OpenedRecord | SealedRecord | None, folder: object) -> None:
        locations.setdefault(uid, []).append(str(folder or ""))
        if item is None:
            unreadable.append(uid)
        elif uid not in found or _revision(item) > _revision(found[uid]):
            found[uid] = item

    for item in response.records:
        add(str(item.uid), item, item.inner_folder_uid or item.folder_uid)
    keys = [("", app_key), *((folder.uid, folder.key) for folder in response.folders)]
    for folder in as_objects([bad["f"] for bad in response.bad_folders]):
        uid = str(folder.get("folderUid"))
        own = [(uid, key) for key in _folder_key(folder, app_key)]
        keys += own
        for raw in as_objects(folder.get("records")):
            add(str(raw.get("recordUid")), _decrypted_record(raw, own), raw.get("innerFolderUid") or uid)
    for raw in as_objects([bad["r"] for bad in response.bad_records]):
        opened = _decrypted_record(raw, keys)
        within = raw.get("innerFolderUid") or raw.get("folderUid") or (opened and opened.folder_uid)
        add(str(raw.get("recordUid")), opened, within)
    return list(found.values()), locations, [uid for uid in dict.fromkeys(unreadable) if uid not in found]


def _revision(item: SdkRecord | _OpenedRecord | SealedRecord) -> int:
    return item.revision if isinstance(item.revision, int) else -1


def _folder_key(folder: Mapping[str, Any], app_key: bytes) -> Iterator[bytes]:
    try:
        yield CryptoUtils.decrypt_aes(base64_to_bytes(folder.get("folderKey")), app_key)
    except Exception:  # noqa: BLE001 - the SDK raises whatever a damaged key causes
        log.warning("keeper.folder_unreadable", extra={"folder": folder.get("folderUid")})


def _decrypted_record(raw: Mapping[str, Any], keys: Iterable[tuple[str, bytes]]) -> _OpenedRecord | None:
    for uid, key in keys:
        try:
            wrapped = raw.get("recordKey")
            record_key = CryptoUtils.decrypt_aes(base64_to_bytes(wrapped), key) if wrapped else key
            content = CryptoUtils.decrypt_aes(base64_to_bytes(raw.get("data")), record_key)
        except Exception:  # noqa: BLE001, S112 - the SDK raises whatever a wrong key or a damaged text causes
            continue
        item = _OpenedRecord(str(raw.get("recordUid")), content, record_key, uid, raw.get("revision"))
        _open_files(item, raw.get("files"))
        return item
    return None


def _open_files(item: _OpenedRecord, files: object) -> None:
    """Give *item* those of its attachments that can be decrypted, and the UIDs of the others."""
    for file in files if isinstance(files, list) else ():
        try:
            item.files.append(KeeperFile(file, item.record_key_bytes))
        except Exception as error:  # noqa: BLE001 - as above
            item.unreadable_files.append(_file_uid(file))
            details = {"uid": item.uid, "file": item.unreadable_files[-1], "cause": type(error).__name__}
            log.warning("attachment.unreadable", extra=details)


def _file_uid(file: object) -> str:
    return str(as_object(file).get("fileUid"))
