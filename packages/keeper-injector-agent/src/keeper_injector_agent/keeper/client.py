"""Keeper's SDK as a client: its requests, the binding of a device, and its exceptions as VaultErrors.

The SDK does protocol and cryptography. This module imports no more than the SDK needs for that: a refresh that finds nothing
changed ends without the modules that read records and deliver them.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidTag

from keeper_injector_agent.errors import PermanentVaultError, TransientVaultError, VaultError
from keeper_injector_agent.keeper.postponed import imports_postponed
from keeper_injector_agent.keeper.responses import requested_key
from keeper_injector_common.errors import ConfigurationError
from keeper_injector_common.ksm_configuration import check_key_lengths, check_required_keys

with imports_postponed():
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
    "new_device",
    "translate_errors",
]

REGIONS: Mapping[str, str] = keeper_servers
"""Keeper's hosts by the region code that a one-time token begins with: ``US``, ``EU`` …"""
_TOKEN = "clientKey"  # noqa: S105 - the name of its entry in a configuration


class Client(SecretsManager):  # type: ignore[misc] # the SDK has no types
    """The SDK with its only network call replaced; it calls ``post_function`` for every operation."""

    def __init__(self, transport: Transport, storage: InMemoryKeyValueStorage, **more: str) -> None:
        self._transport = transport
        super().__init__(config=storage, **more)
        self.logger.setLevel(logging.CRITICAL)  # it logs whole responses of failed requests

    def post_function(self, url: str, key: Any, payload: Any, *_: Any) -> KSMHttpResponse:
        """Send one request for the SDK; raises VaultError."""
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
        if response.status_code != HTTPStatus.OK:
            # The transport returns no other failure than a request for another key.
            self._check_server_key(requested_key(response))
        return KSMHttpResponse(response.status_code, response.content, response)

    def encrypted_folders(self) -> Any:
        """Return Keeper's list of folders as it was sent. ``get_folders`` fails if a single folder cannot be decrypted."""
        return json.loads(self._post_query("get_folders", self.prepare_get_payload(self.config, None)))

    def _check_server_key(self, key_id: str) -> None:
        """Raise PermanentVaultError if neither the SDK nor the configuration has the server key *key_id*."""
        if key_id not in keeper_public_keys and not self.config.get(ConfigKeys.KEY_SERVER_PUBLIC_KEY):
            raise PermanentVaultError(
                f"Keeper: asks for server key {key_id!r}, which this version of the agent does not have; update the agent's image"
            )


def connect(configuration: Mapping[str, str], transport: Transport) -> Client:
    """Return a client for a bound *configuration*; sends no request. Raises PermanentVaultError if it is invalid."""
    try:
        check_required_keys(configuration, "KSM configuration")
        check_key_lengths(configuration, "KSM configuration")
    except ConfigurationError as error:
        raise PermanentVaultError(str(error)) from None
    client: Client = translate_errors(lambda: Client(transport, _storage(configuration)))
    return client


def _storage(configuration: Mapping[str, str]) -> InMemoryKeyValueStorage:
    return InMemoryKeyValueStorage(dict(configuration))


def new_device(token: Mapping[str, str], transport: Transport) -> dict[str, str]:
    """Return *token* (``clientKey``: the one-time token, ``hostname``) with a new private key; sends no request.

    Save the result before you call :func:`bind_device`, and retry with it: Keeper gives the application of a token to one
    private key only.
    """
    storage = _storage({key: value for key, value in token.items() if key != _TOKEN})
    translate_errors(lambda: Client(transport, storage, token=token[_TOKEN], hostname=token["hostname"]))
    return _contents(storage)


def bind_device(device: Mapping[str, str], transport: Transport) -> dict[str, str]:
    """Present the one-time token of a :func:`new_device`, and return the bound configuration; raises VaultError.

    Keeper sends the application's key until the device has used it once: save the result before you call
    :func:`confirm_device`.
    """
    storage = _storage({key: value for key, value in device.items() if key != _TOKEN})
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
