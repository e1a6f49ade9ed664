"""Implements ``Vault`` with Keeper's SDK. The SDK does protocol and cryptography; this module makes it safe to depend on.

What the SDK (17.3.0) does on its own and must not do here: wait indefinitely (it has no timeouts), sleep for minutes when
throttled, loop when a pinned server key is out of date, drop a whole folder because one of its records is damaged, and
return no records for an empty response.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidTag

from keeper_injector_agent.credentials.ksm_config import check_required_keys
from keeper_injector_agent.errors import PermanentVaultError, TransientVaultError
from keeper_injector_agent.keeper.postponed import requests_postponed
from keeper_injector_common.records import Attachment, Field, Library, Record, named_fields

with requests_postponed():
    from keeper_secrets_manager_core import SecretsManager
    from keeper_secrets_manager_core.configkeys import ConfigKeys
    from keeper_secrets_manager_core.crypto import CryptoUtils
    from keeper_secrets_manager_core.dto.dtos import Record as SdkRecord
    from keeper_secrets_manager_core.dto.payload import KSMHttpResponse, QueryOptions
    from keeper_secrets_manager_core.exceptions import KeeperError
    from keeper_secrets_manager_core.keeper_globals import keeper_servers
    from keeper_secrets_manager_core.storage import InMemoryKeyValueStorage
    from keeper_secrets_manager_core.utils import base64_to_bytes, bytes_to_base64, get_totp_code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from keeper_injector_agent.keeper.transport import Transport

log = logging.getLogger(__name__)

_TOTP_TYPE = "oneTimeCode"
REGIONS: Mapping[str, str] = keeper_servers
"""Keeper's hosts by the region code that a one-time token begins with: ``US``, ``EU`` …"""
_UNEXPECTED = (ValueError, TypeError, AttributeError, LookupError)
"""Exceptions for responses, configurations and records that are not as the SDK and this module expect them."""
_TOKEN = "clientKey"  # noqa: S105 - the name of its entry in a configuration


class KeeperVault:
    """The records that a KSM application shares with a device. Implements the vault port; without retries."""

    def __init__(self, configuration: Mapping[str, str], transport: Transport) -> None:
        """Use a bound KSM *configuration* (its JSON as a mapping); sends no request. Raises PermanentVaultError if invalid."""
        self._transport = transport
        self._client = _client(configuration, transport)
        self._app_key = base64_to_bytes(configuration["appKey"])
        self._files: dict[tuple[str, str], Any] = {}

    @property
    def server_key_id(self) -> str:
        """The server key in use; it changes when Keeper asks for another."""
        return str(self._client.config.get(ConfigKeys.KEY_SERVER_PUBLIC_KEY_ID) or "")

    def fetch(self, uids: Sequence[str] = (), *, folders: bool = False) -> Library:
        """Fetch all records, or those with *uids*; see :meth:`~keeper_injector_agent.keeper.vault.Vault.fetch`."""
        options = QueryOptions(records_filter=list(uids) or None, folders_filter=None, request_links=None)
        response = _translate_errors(lambda: self._client.get_secrets_with_options(options, full_response=True))
        paths = _folder_paths(_translate_errors(self._client.get_folders)) if folders else {}
        for warning in response.warnings or ():
            log.warning("keeper.warning", extra={"message_from_keeper": str(warning)})
        readable, unreadable = _decrypted_records(response, self._app_key)
        records = []
        for item in readable:
            try:
                records.append(self._record(item, paths))
            except _UNEXPECTED as error:  # one malformed record must not block the others
                log.warning("record.malformed", extra={"uid": item.uid, "cause": type(error).__name__})
                unreadable.append(item.uid)
        return Library(tuple(records), tuple(unreadable))

    def download(self, record: Record, attachment: Attachment) -> bytes:
        """Download and decrypt an attachment of a record from the last :meth:`fetch`."""
        file, record_key = self._files[record.uid, attachment.uid]
        encrypted = self._transport.get(file.get("url"))
        try:
            key = CryptoUtils.decrypt_aes(base64_to_bytes(file["fileKey"]), record_key)
            content: bytes = CryptoUtils.decrypt_aes(encrypted, key)
        except (InvalidTag, ValueError):
            raise TransientVaultError(
                f"record {record.title!r}: file {attachment.name!r} cannot be decrypted; its download URL may have expired"
            ) from None
        return content

    def _record(self, item: SdkRecord, paths: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]) -> Record:
        for file in item.files:
            self._files[item.uid, file.f["fileUid"]] = (file.f, item.record_key_bytes)
        names, uids = paths.get(item.inner_folder_uid or item.folder_uid or "", ((), ()))
        fields = named_fields(item.dict.get("fields") or [], item.dict.get("custom") or [])
        json.dumps(item.dict, ensure_ascii=False).encode()  # raises for a lone surrogate, which no file can contain
        return Record(
            uid=item.uid,
            title=item.title or "",
            type=item.type or "",
            fields=tuple(_with_current_code(field, item.title) for field in fields),
            notes=item.dict.get("notes") or "",
            attachments=tuple(_attachment(file) for file in item.files),
            folder=names,
            folder_uids=uids,
        )


class _Client(SecretsManager):  # type: ignore[misc] # the SDK has no types
    """The SDK with its only network call replaced; it calls ``post_function`` for every operation."""

    def __init__(self, transport: Transport, storage: InMemoryKeyValueStorage, **more: str) -> None:
        self._transport = transport
        super().__init__(config=storage, **more)
        self.logger.setLevel(logging.CRITICAL)  # it logs whole responses of failed requests

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
    check_required_keys(configuration, "KSM configuration")
    client: _Client = _translate_errors(lambda: _Client(transport, _storage(configuration)))
    return client


def _storage(configuration: Mapping[str, str]) -> InMemoryKeyValueStorage:
    return InMemoryKeyValueStorage(dict(configuration))


def new_device(token: Mapping[str, str], transport: Transport) -> dict[str, str]:
    """Return *token* (``clientKey``: the one-time token, ``hostname``) with a new private key; sends no request.

    Save the result before you call :func:`bind_device`, and retry with it: Keeper gives the application of a token to one
    private key only.
    """
    storage = _storage({key: value for key, value in token.items() if key != _TOKEN})
    _translate_errors(lambda: _Client(transport, storage, token=token[_TOKEN], hostname=token["hostname"]))
    return _contents(storage)


def bind_device(device: Mapping[str, str], transport: Transport) -> dict[str, str]:
    """Present the one-time token of a :func:`new_device`, and return the bound configuration; raises VaultError."""
    storage = _storage({key: value for key, value in device.items() if key != _TOKEN})
    client = _translate_errors(lambda: _Client(transport, storage))
    # Set afterwards: a constructor that finds token and key takes the device for bound, and deletes the token (SDK 17.3.0).
    client.config.set(ConfigKeys.KEY_CLIENT_KEY, device[_TOKEN])
    _translate_errors(client.get_secrets)
    return _contents(storage)


def _contents(storage: InMemoryKeyValueStorage) -> dict[str, str]:
    return {str(getattr(key, "value", key)): str(value) for key, value in storage.read_storage().items() if value}


def _translate_errors(call: Callable[[], Any]) -> Any:
    """Call the SDK, and turn every exception that it is known to raise into a VaultError."""
    try:
        return call()
    except KeeperError as error:
        raise PermanentVaultError(f"Keeper: {error}") from None
    except InvalidTag:
        raise TransientVaultError(
            "Keeper: the response cannot be decrypted; if this persists, the KSM configuration belongs to another application"
        ) from None
    except _UNEXPECTED as error:
        raise TransientVaultError(
            f"Keeper: the SDK cannot read the response or the configuration ({type(error).__name__})"
        ) from None


def _decrypted_records(response: Any, app_key: bytes) -> tuple[list[SdkRecord], list[str]]:
    """Return every record once, and the UIDs of the records that no key decrypts.

    The SDK drops a folder with all its records if one is damaged, and tries only the application's key on records that
    came outside their folder (fixed in the unreleased 17.4.0). Both are decrypted again here, record by record.
    """
    found = {item.uid: item for item in response.records}
    unreadable: list[str] = []
    keys = [(folder.uid, folder.key) for folder in response.folders]
    for bad in response.bad_folders:
        folder = bad["f"]
        own = [(str(folder.get("folderUid")), key) for key in _folder_key(folder, app_key)]
        keys += own
        for raw in folder.get("records") or ():
            _add_record(raw, _decrypted_record(raw, own), found, unreadable)
    for bad in response.bad_records:
        _add_record(bad["r"], _decrypted_record(bad["r"], keys), found, unreadable)
    return list(found.values()), [uid for uid in unreadable if uid not in found]


def _add_record(
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


def _decrypted_record(raw: Mapping[str, Any], keys: Iterable[tuple[str, bytes]]) -> SdkRecord | None:
    for uid, key in keys:
        try:
            return SdkRecord(dict(raw), key, uid)
        except Exception:  # noqa: BLE001, S112 - the SDK raises Exception itself for a damaged attachment, among others
            continue
    return None


def _with_current_code(field: Field, title: str) -> Field:
    """Replace the seed of a one-time code with the current code: the seed never reaches a pod."""
    if field.type != _TOTP_TYPE:
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
    """Return the path of every folder, as names and as UIDs, from the outermost folder to the folder itself."""
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
