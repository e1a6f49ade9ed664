"""Keeper's SDK as a client: its requests, the binding of a device, and its exceptions as VaultErrors.

The SDK does protocol and cryptography. This module imports no more than the SDK needs for that: a refresh that finds nothing
changed ends without the modules that read records and deliver them.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidTag

from keeper_injector_agent.errors import PermanentVaultError, TransientVaultError, VaultError
from keeper_injector_agent.keeper.parts import divide
from keeper_injector_agent.keeper.responses import requested_key
from keeper_injector_agent.postponed import imports_postponed
from keeper_injector_common.errors import ConfigurationError
from keeper_injector_common.ksm_configuration import check_key_lengths, check_required_keys

# Half of the time that the SDK's imports take. It uses requests for the two calls that our transport replaces, importlib.metadata if it
# cannot read its own version, subprocess on Windows, and mimetypes for uploads. Nothing here uses keys of SSH.
with imports_postponed(
    *("requests", "importlib.metadata", "subprocess", "mimetypes"),
    names_of="cryptography.hazmat.primitives.serialization.ssh",
):
    from keeper_secrets_manager_core import SecretsManager
    from keeper_secrets_manager_core.configkeys import ConfigKeys
    from keeper_secrets_manager_core.crypto import CryptoUtils
    from keeper_secrets_manager_core.dto.dtos import KeeperFile
    from keeper_secrets_manager_core.dto.dtos import Record as SdkRecord
    from keeper_secrets_manager_core.dto.payload import KSMHttpResponse, QueryOptions
    from keeper_secrets_manager_core.exceptions import KeeperError
    from keeper_secrets_manager_core.keeper_globals import keeper_public_keys, keeper_servers
    from keeper_secrets_manager_core.storage import InMemoryKeyValueStorage
    from keeper_secrets_manager_core.utils import base64_to_bytes, bytes_to_base64

if TYPE_CHECKING:
    from collections.abc import Callable

    from keeper_injector_agent.keeper.transport import Transport
    from keeper_injector_agent.state import State

__all__ = [
    "REGIONS",
    "Client",
    "ConfigKeys",
    "CryptoUtils",
    "KeeperFile",
    "QueryOptions",
    "SdkRecord",
    "base64_to_bytes",
    "bind_device",
    "confirm_device",
    "connect",
    "connect_without_key",
    "new_device",
    "new_storage",
    "request_of",
    "translate_errors",
]

REGIONS: Mapping[str, str] = keeper_servers
"""Keeper's hosts by the region code that a one-time token begins with: ``US``, ``EU`` …"""
_TOKEN = "clientKey"  # noqa: S105 - the name of its entry in a configuration
_URLS = re.compile(rb'"(?:thumbnailUrl|url)"\s*:\s*"(?:[^"\\]|\\.)*"')
"""The pre-signed URLs of attachments in an answer: they are new in every answer. All content of records is encrypted."""

_Request = tuple[str, tuple[str, ...]]
"""Operation, and the UIDs that it is limited to."""


class Client(SecretsManager):  # type: ignore[misc] # the SDK has no types
    """The SDK with its only network call replaced; it calls ``post_function`` for every operation."""

    is_relayed = False
    """Whether the records come through a relay."""

    def __init__(self, transport: Transport, storage: InMemoryKeyValueStorage, **more: str) -> None:
        self.transport = transport
        self.answers: dict[_Request, bytes] = {}
        """SHA-256 of the last answer to each request, without what differs between answers with the same records."""
        self.date = ""
        """The header ``Date`` of the last answer: Keeper's clock."""
        self._asked: dict[_Request, bytes | VaultError] = {}
        super().__init__(config=storage, **more)
        self.logger.setLevel(logging.CRITICAL)  # it logs whole responses of failed requests

    @property
    def server_key_id(self) -> str:
        """The server key in use; it changes when Keeper asks for another."""
        return str(self.config.get(ConfigKeys.KEY_SERVER_PUBLIC_KEY_ID) or "")

    def leave_results(self, state: State) -> None:
        """Leave in *state* what the next refresh must know: the server key that Keeper asked for, and the counters."""
        state.server_key_id = self.server_key_id
        state.relay = {}
        for result, count in self.transport.counts.items():
            state.count(f"requests_{result}", count)

    def post_function(self, url: str, key: Any, payload: Any, *_: Any) -> KSMHttpResponse:
        """Send one request for the SDK; raises VaultError."""
        response = self.transport.post(
            url,
            {
                "Content-Type": "application/octet-stream",
                "PublicKeyId": str(key.publicKeyId),
                "TransmissionKey": bytes_to_base64(key.encryptedKey),
                "Authorization": f"Signature {bytes_to_base64(payload.signature)}",
            },
            payload.encrypted_payload,
        )
        if response.status_code != HTTPStatus.OK:
            # The transport returns no other failure than a request for another key.
            self._check_server_key(requested_key(response))
        self.date = response.headers.get("Date") or ""
        # A view, because the SDK cuts the nonce off, which would copy all the rest.
        return KSMHttpResponse(response.status_code, memoryview(response.content), response)

    def ask(self, uids: Sequence[str] = (), *, folders: bool = False) -> None:
        """Send the requests for all records, or those with *uids*. The next calls of the SDK for them get the answers.

        If a request fails, the next call for it raises that error instead of sending it again.
        """
        options = QueryOptions(records_filter=list(uids) or None, folders_filter=None, request_links=None)
        queries = [("get_secret", options), *([("get_folders", None)] if folders else [])]
        for path, query in queries:
            payload = self.prepare_get_payload(self.config, query)
            try:
                self._asked[request_of(path, payload)] = translate_errors(lambda: self._post_query(path, payload))  # noqa: B023
            except VaultError as error:
                self._asked[request_of(path, payload)] = error
                return

    def _post_query(self, path: str, payload: Any) -> bytes:
        """Return the decrypted answer to a request, which is sent unless :meth:`ask` has sent it."""
        request = request_of(path, payload)
        answer = self._asked.pop(request, None)
        if isinstance(answer, VaultError):
            raise answer
        if answer is None:
            answer = super()._post_query(path, payload)
            self.answers[request] = _fingerprint(answer)
        return answer

    def fetch(self, options: QueryOptions, seal: Callable[[list[SdkRecord], bytes], list[Any]]) -> Any:
        """Return the SDK's response with the records of *options*; raises what the SDK raises.

        The SDK decrypts all records of an answer before it returns. A large answer is given to it in parts, because each record
        is in memory as base64, text, JSON and objects until then. *seal* makes the records of each part smaller.
        """
        payload = self.prepare_get_payload(self.config, options)
        request = request_of("get_secret", payload)
        response: Any = None
        for part in divide(self._post_query("get_secret", payload)):
            self._asked[request] = part
            # Not get_secrets_with_options, which fails while it logs an entry that is not an object (SDK 17.3.0).
            found = self.fetch_and_decrypt_secrets(options)
            if response is None:
                response = found
                for record in found.records:
                    record.raw_json = None  # its text, which is in ``dict`` as well
                continue
            response.records += seal(found.records, part)
            for folder in found.folders:
                folder.records = []  # they are in ``records`` as well
            for name in ("folders", "bad_records", "bad_folders"):
                getattr(response, name).extend(getattr(found, name))
        return response

    def encrypted(self, operation: str) -> Any:
        """Return Keeper's answer to ``get_secret`` or ``get_folders`` as it was sent; a device without the key may ask, too.

        The SDK's own ``get_folders`` fails if a single folder cannot be decrypted.
        """
        payload = self.prepare_get_payload(self.config, None)
        # Without the application's key, the SDK (17.3.0) asks for it as if the device were to be bound.
        payload.publicKey = None
        return json.loads(self._post_query(operation, payload))

    def _check_server_key(self, key_id: str) -> None:
        """Raise PermanentVaultError if neither the SDK nor the configuration has the server key *key_id*."""
        if key_id not in keeper_public_keys and not self.config.get(ConfigKeys.KEY_SERVER_PUBLIC_KEY):
            raise PermanentVaultError(
                f"Keeper: asks for server key {key_id!r}, which this version of the agent does not have; update the agent's image"
            )


def request_of(path: str, payload: Any) -> _Request:
    """Return the request that *payload* is for."""
    return path, tuple(getattr(payload, "requestedRecords", None) or ())


def _fingerprint(answer: bytes) -> bytes:
    mac = hashlib.sha256()
    position, view = 0, memoryview(answer)
    for url in _URLS.finditer(answer):
        mac.update(view[position : url.start()])
        position = url.end()
    mac.update(view[position:])
    return mac.digest()


def connect(configuration: Mapping[str, str], transport: Transport) -> Client:
    """Return a client for a bound *configuration*; sends no request. Raises PermanentVaultError if it is invalid."""
    try:
        check_required_keys(configuration, "KSM configuration")
        check_key_lengths(configuration, "KSM configuration")
    except ConfigurationError as error:
        raise PermanentVaultError(str(error)) from None
    client: Client = translate_errors(lambda: Client(transport, new_storage(configuration)))
    return client


def connect_without_key(half: Mapping[str, str], transport: Transport) -> Client:
    """Return a client that can ask Keeper and cannot read what it gets; raises PermanentVaultError.

    *half* is the relay's half of a split KSM configuration, which has been checked.
    """
    client: Client = translate_errors(lambda: Client(transport, new_storage(half)))
    return client


def new_storage(configuration: Mapping[str, str]) -> InMemoryKeyValueStorage:
    """Return the SDK's storage with the entries of a *configuration*."""
    return InMemoryKeyValueStorage(dict(configuration))


def new_device(token: Mapping[str, str], transport: Transport) -> dict[str, str]:
    """Return *token* (``clientKey``: the one-time token, ``hostname``) with a new private key; sends no request.

    Save the result before you call :func:`bind_device`, and retry with it: Keeper gives the application of a token to one
    private key only.
    """
    storage = new_storage({key: value for key, value in token.items() if key != _TOKEN})
    translate_errors(lambda: Client(transport, storage, token=token[_TOKEN], hostname=token["hostname"]))
    return _contents(storage)


def bind_device(device: Mapping[str, str], transport: Transport) -> dict[str, str]:
    """Present the one-time token of a :func:`new_device`, and return the bound configuration; raises VaultError.

    Keeper sends the application's key until the device has used it once: save the result before you call
    :func:`confirm_device`.
    """
    storage = new_storage({key: value for key, value in device.items() if key != _TOKEN})
    client = translate_errors(lambda: Client(transport, storage))
    # Set afterwards: a constructor that finds token and key takes the device for bound, and deletes the token (SDK 17.3.0).
    client.config.set(ConfigKeys.KEY_CLIENT_KEY, device[_TOKEN])
    try:
        translate_errors(lambda: client.fetch_and_decrypt_secrets(None))
    except VaultError:
        if not storage.get(ConfigKeys.KEY_APP_KEY):
            raise  # otherwise the device is bound, and only the rest of the response is damaged
    return _contents(storage)


def confirm_device(configuration: Mapping[str, str], transport: Transport) -> None:
    """Use a *configuration* that :func:`bind_device` returned for the first time; raises VaultError."""
    client = connect(configuration, transport)
    translate_errors(lambda: client.fetch_and_decrypt_secrets(None))


def _contents(storage: InMemoryKeyValueStorage) -> dict[str, str]:
    return {str(getattr(key, "value", key)): str(value) for key, value in storage.read_storage().items() if value}


def translate_errors(call: Callable[[], Any]) -> Any:
    """Call the SDK, and turn every exception that it is known to raise into a VaultError."""
    try:
        return call()
    except KeeperError as error:
        raise PermanentVaultError(f"Keeper: {error}") from None
    except InvalidTag:
        raise TransientVaultError(
            "Keeper: the response cannot be decrypted; if this persists, the KSM configuration belongs to another application"
        ) from None
    except (VaultError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - the SDK raises whatever a malformed response causes
        raise TransientVaultError(
            f"Keeper: the SDK cannot read the response or the configuration ({type(error).__name__})"
        ) from None
