"""Keeper behind the Vault port: the official SDK does protocol and cryptography, this module makes it safe to depend on.

What the SDK (17.3.0) does by itself and must not do here: wait for ever (no timeouts), sleep minutes when throttled, loop
when a pinned server key is stale, drop a whole folder for one damaged record, return zero records for an empty answer.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidTag
from keeper_secrets_manager_core import SecretsManager
from keeper_secrets_manager_core.configkeys import ConfigKeys
from keeper_secrets_manager_core.crypto import CryptoUtils
from keeper_secrets_manager_core.dto.dtos import Record as SdkRecord
from keeper_secrets_manager_core.dto.payload import KSMHttpResponse, QueryOptions
from keeper_secrets_manager_core.exceptions import KeeperError
from keeper_secrets_manager_core.keeper_globals import keeper_servers
from keeper_secrets_manager_core.storage import InMemoryKeyValueStorage
from keeper_secrets_manager_core.utils import base64_to_bytes, bytes_to_base64, get_totp_code

from keeper_injector_agent.errors import PermanentVaultError, TransientVaultError
from keeper_injector_common.records import Attachment, Field, Library, Record, named_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from keeper_injector_agent.keeper.transport import Transport

log = logging.getLogger(__name__)

TOTP_TYPE = "oneTimeCode"
REGIONS: Mapping[str, str] = keeper_servers
"""Keeper's hosts by the code that begins a one-time token: ``US``, ``EU`` …"""
_UNEXPECTED = (ValueError, TypeError, AttributeError, LookupError)
"""What is raised for answers, configurations and records that are not what the SDK and we expect."""
_TOKEN = "clientKey"  # noqa: S105 - its name in configurations


class KeeperVault:
    """The records that one KSM application shares with one device."""

    def __init__(self, configuration: Mapping[str, str], transport: Transport) -> None:
        """Use a bound KSM *configuration* (its JSON as a mapping); nothing is requested yet."""
        self._transport = transport
        self._client = _client(configuration, transport)
        self._app_key = base64_to_bytes(configuration["appKey"])
        self._files: dict[tuple[str, str], Any] = {}

    @property
    def server_key_id(self) -> str:
        """Which of Keeper's server keys is in use; it changes when Keeper asks for another."""
        return str(self._client.config.get(ConfigKeys.KEY_SERVER_PUBLIC_KEY_ID) or "")

    def fetch(self, uids: Sequence[str] = (), *, folders: bool = False) -> Library:
        """Fetch all records, or those with *uids*; see :class:`~keeper_injector_agent.keeper.vault.Vault`."""
        options = QueryOptions(records_filter=list(uids) or None, folders_filter=None, request_links=None)
        answer = _translated(lambda: self._client.get_secrets_with_options(options, full_response=True))
        paths = _folder_paths(_translated(self._client.get_folders)) if folders else {}
        for warning in answer.warnings or ():
            log.warning("keeper.warning", extra={"message_from_keeper": str(warning)})
        readable, unreadable = _decrypted(answer, self._app_key)
        records = []
        for item in readable:
            try:
                records.append(self._record(item, paths))
            except _UNEXPECTED as error:  # one record must not keep the others away
                log.warning("record.malformed", extra={"uid": item.uid, "cause": type(error).__name__})
                unreadable.append(item.uid)
        return Library(tuple(records), tuple(unreadable))

    def download(self, record: Record, attachment: Attachment) -> bytes:
        """Fetch and decrypt the content of an attachment of a record of the last :meth:`fetch`."""
        file, record_key = self._files[record.uid, attachment.uid]
        encrypted = self._transport.get(file["url"])
        try:
            key = CryptoUtils.decrypt_aes(base64_to_bytes(file["fileKey"]), record_key)
            content: bytes = CryptoUtils.decrypt_aes(encrypted, key)
        except (InvalidTag, ValueError):
            raise TransientVaultError(
                f"record {record.title!r}: file {attachment.name!r} cannot be decrypted; its address may have expired"
            ) from None
        return content

    def _record(self, item: SdkRecord, paths: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]) -> Record:
        for file in item.files:
            self._files[item.uid, file.f["fileUid"]] = (file.f, item.record_key_bytes)
        names, uids = paths.get(item.inner_folder_uid or item.folder_uid or "", ((), ()))
        fields = named_fields(item.dict.get("fields") or [], item.dict.get("custom") or [])
        json.dumps(item.dict, ensure_ascii=False).encode()  # half a surrogate pair can be in no file
        return Record(
            uid=item.uid,
            title=item.title or "",
            type=item.type or "",
            fields=tuple(_with_code(field, item.title) for field in fields),
            notes=item.dict.get("notes") or "",
            attachments=tuple(_attachment(file) for file in item.files),
            folder=names,
            folder_uids=uids,
        )


class _Client(SecretsManager):  # type: ignore[misc] # the SDK has no types
    """The SDK with its only network call replaced: the hook is called for every operation."""

    def __init__(self, transport: Transport, storage: InMemoryKeyValueStorage, **more: str) -> None:
        self._transport = transport
        super().__init__(config=storage, **more)
        self.logger.setLevel(logging.CRITICAL)  # it would log whole answers of failed requests

    def post_function(self, url: str, key: Any, payload: Any, *_: Any) -> KSMHttpResponse:
        response = self._transport.post(
            url,
            {
                "Content-Type": "application/octet-stream",
                "PublicKeyId": str(key.publicKeyId),
                "TransmissionKey": bytes_to_base64(key.encryptedKey),
                "Authorization": f"Signature {bytes_to_base64(payload.signature)}",
            },
            payload.encrypted_payload,
        )
        return KSMHttpResponse(response.status_code, response.content, response)


def _client(configuration: Mapping[str, str], transport: Transport) -> _Client:
    missing = [key for key in ("clientId", "privateKey", "appKey") if not configuration.get(key)]
    if missing:
        raise PermanentVaultError(f"KSM configuration: {', '.join(missing)} missing; create a new one in Keeper")
    client: _Client = _translated(lambda: _Client(transport, _stored(configuration)))
    return client


def _stored(configuration: Mapping[str, str]) -> InMemoryKeyValueStorage:
    return InMemoryKeyValueStorage(dict(configuration))


def new_device(given: Mapping[str, str], transport: Transport) -> dict[str, str]:
    """Return *given* (``clientKey``: the one-time token, ``hostname``) with a private key of its own; asks nothing.

    Whoever keeps it can try to bind as often as it takes: Keeper gives a token's application to one private key only.
    """
    storage = _stored({key: value for key, value in given.items() if key != _TOKEN})
    _translated(lambda: _Client(transport, storage, token=given[_TOKEN], hostname=given["hostname"]))
    return _contents(storage)


def bind(device: Mapping[str, str], transport: Transport) -> dict[str, str]:
    """Spend the one-time token of a :func:`new_device`; returns the bound configuration. Raises VaultError."""
    storage = _stored({key: value for key, value in device.items() if key != _TOKEN})
    client = _translated(lambda: _Client(transport, storage))
    # Only now: a constructor that finds both takes the device for bound, and deletes the token (SDK 17.3.0).
    client.config.set(ConfigKeys.KEY_CLIENT_KEY, device[_TOKEN])
    _translated(client.get_secrets)
    return _contents(storage)


def _contents(storage: InMemoryKeyValueStorage) -> dict[str, str]:
    return {str(getattr(key, "value", key)): str(value) for key, value in storage.read_storage().items() if value}


def _translated(call: Callable[[], Any]) -> Any:
    """Call the SDK; every exception it is known to let out becomes a VaultError."""
    try:
        return call()
    except KeeperError as error:
        raise PermanentVaultError(f"Keeper: {error}") from None
    except InvalidTag:
        raise TransientVaultError(
            "Keeper: the answer cannot be decrypted; if it stays so, the KSM configuration is not this application's"
        ) from None
    except _UNEXPECTED as error:
        raise TransientVaultError(
            f"Keeper: an answer or configuration that the SDK cannot read ({type(error).__name__})"
        ) from None


def _decrypted(answer: Any, app_key: bytes) -> tuple[list[SdkRecord], list[str]]:
    """Return each record once, and the UIDs of those that no key opens.

    The SDK drops a folder with all its records when one is damaged, and tries only the application's key on records that
    came outside their folder (fixed in the unreleased 17.4.0): both are tried again here, record by record.
    """
    found = {item.uid: item for item in answer.records}
    unreadable: list[str] = []
    keys = [(folder.uid, folder.key) for folder in answer.folders]
    for bad in answer.bad_folders:
        folder = bad["f"]
        own = [(str(folder.get("folderUid")), key) for key in _folder_key(folder, app_key)]
        keys += own
        for raw in folder.get("records") or ():
            _sort_out(raw, _opened(raw, own), found, unreadable)
    for bad in answer.bad_records:
        _sort_out(bad["r"], _opened(bad["r"], keys), found, unreadable)
    return list(found.values()), [uid for uid in unreadable if uid not in found]


def _sort_out(
    raw: Mapping[str, Any], item: SdkRecord | None, found: dict[str, SdkRecord], unreadable: list[str]
) -> None:
    uid = str(raw.get("recordUid"))
    if item is None:
        unreadable.append(uid)
    else:
        found.setdefault(uid, item)


def _folder_key(folder: Mapping[str, Any], app_key: bytes) -> Iterator[bytes]:
    try:
        yield CryptoUtils.decrypt_aes(base64_to_bytes(folder.get("folderKey")), app_key)
    except (InvalidTag, ValueError, TypeError, AttributeError):
        log.warning("keeper.folder_unreadable", extra={"folder": folder.get("folderUid")})


def _opened(raw: Mapping[str, Any], keys: Iterable[tuple[str, bytes]]) -> SdkRecord | None:
    for uid, key in keys:
        try:
            return SdkRecord(dict(raw), key, uid)
        except Exception:  # noqa: BLE001, S112 - the SDK raises bare Exception for a damaged attachment, and much else
            continue
    return None


def _with_code(field: Field, title: str) -> Field:
    """Replace the seed of a one-time code by the code of now: the seed itself never reaches a pod."""
    if field.type != TOTP_TYPE:
        return field
    codes = []
    for url in field.values:
        try:
            codes.append(get_totp_code(str(url)).code)
        except _UNEXPECTED:
            log.warning("record.totp_invalid", extra={"record": title, "field": field.name})
    return Field(field.name, field.type, field.label, tuple(codes), field.custom)


def _attachment(file: Any) -> Attachment:
    return Attachment(
        uid=file.f["fileUid"],
        name=file.name or file.title or file.f["fileUid"],
        title=file.title or "",
        size=int(file.size or 0),
        revision=f"{file.f['fileUid']}.{file.last_modified or 0}.{file.size or 0}",
    )


def _folder_paths(folders: Iterable[Any]) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Return for every folder the names and UIDs from the outermost down to it."""
    by_uid = {folder.folder_uid: folder for folder in folders}
    paths = {}
    for uid in by_uid:
        names: list[str] = []
        uids: list[str] = []
        step = uid
        while step in by_uid and step not in uids:
            names.insert(0, by_uid[step].name)
            uids.insert(0, step)
            step = by_uid[step].parent_uid
        paths[uid] = (tuple(names), tuple(uids))
    return paths
