"""Turns a one-time token into a KSM configuration file: the token is used once, and no existing file is overwritten.

Keeper gives the application to the first private key that presents the token, and to no other. Therefore the key is saved
beside the future configuration (``OUTPUT.pending``) before the token is presented. If anything fails after that, the next
run continues with the same key.

Keeper sends the application's key only until the device has used it once. Therefore that key is saved there, too, before the
request that uses it.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from keeper_injector_agent.errors import WriteError
from keeper_injector_agent.keeper.client import REGIONS, bind_device, confirm_device, new_device
from keeper_injector_agent.keeper.transport import Transport
from keeper_injector_agent.private_files import create_private_file
from keeper_injector_agent.retry import call_with_retries
from keeper_injector_common.errors import ContractError

_PENDING = ".pending"
_TOKEN, _APP_KEY = "clientKey", "appKey"
_TOKEN_BYTES = 32
_LARGEST_DEVICE = 65536
"""Bytes; a device takes about one thousand."""


def bind_token(token: str, output: Path, hostname: str | None, ca_file: Path | None, *, deadline: float) -> None:
    """Bind *token* within *deadline* seconds, and write the resulting configuration to *output*.

    Raises ContractError if the token is malformed or the output file already exists, VaultError if Keeper rejects the
    token or is unavailable, and WriteError if another process creates the output file first.
    """
    parsed = parse_token(token, hostname)
    if output.exists():
        raise ContractError(
            f"{output}: exists; choose another file, or remove this one if it is not needed (the token is still unused)"
        )
    until = time.monotonic() + deadline
    transport = Transport(ca_file=ca_file, deadline=until)
    pending = output.with_name(f"{output.name}{_PENDING}")
    with _locked(pending) as descriptor:
        device = _saved_device(pending, descriptor, parsed) or new_device(parsed, transport)
        _save_device(descriptor, device)
        if _APP_KEY not in device:
            bound = call_with_retries(partial(bind_device, device, transport), deadline=until - time.monotonic())
            device = {**bound, _TOKEN: parsed[_TOKEN]}
            _save_device(descriptor, device)
        configuration = {key: value for key, value in device.items() if key != _TOKEN}
        call_with_retries(partial(confirm_device, configuration, transport), deadline=until - time.monotonic())
        try:
            create_private_file(output, json.dumps(configuration, indent=2))
        except FileExistsError:
            raise WriteError(f"{output}: was created by another process; run again with another --output") from None
        pending.unlink()


def parse_token(text: str, hostname: str | None = None) -> dict[str, str]:
    """Parse ``TOKEN``, ``REGION:TOKEN``, ``HOST:TOKEN``, ``HOST:PORT:TOKEN`` or ``REGION:TOKEN:KEY_ID:KEY``.

    ``REGION`` is one of :data:`~keeper_injector_agent.keeper.client.REGIONS`, in any case. *hostname* overrides the host in
    the token. Returns the first entries of a KSM configuration: ``clientKey``, ``hostname`` and, from the last form, the
    server's key. Raises ContractError, whose message never contains the token.

    >>> parse_token("US:" + "A" * 43)["hostname"]
    'keepersecurity.com'
    """
    head, *rest = text.split(":")
    server_key: dict[str, str] = {}
    match rest:
        case []:
            host, token = "", head
        case [token]:
            host = REGIONS.get(head.upper(), head)
        case [port, token] if port.isdigit():
            host = f"{head}:{port}"
        case [token, key_id, key] if head.upper() in REGIONS and key_id and key:
            host = REGIONS[head.upper()]
            server_key = {"serverPublicKeyId": key_id, "serverPublicKey": key}
        case _:
            raise ContractError("one-time token: not of the form REGION:TOKEN; copy it as Keeper shows it")
    if not _is_token(token):
        raise ContractError("one-time token: not 43 letters and digits after the region; copy it as Keeper shows it")
    if not (hostname or host):
        raise ContractError(
            "one-time token: it does not begin with a region; set --hostname, such as keepersecurity.com"
        )
    return {"clientKey": token, "hostname": hostname or host, **server_key}


def _is_token(text: str) -> bool:
    try:
        return len(base64.b64decode(f"{text}=", altchars="-_", validate=True)) == _TOKEN_BYTES
    except (binascii.Error, ValueError):
        return False


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Open *path*, readable by its owner alone, and lock it: one process at a time may bind a token."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield descriptor
    except BlockingIOError:
        raise ContractError(f"{path}: another process is binding this token; wait until it ends") from None
    finally:
        os.close(descriptor)


def _saved_device(path: Path, descriptor: int, parsed: Mapping[str, str]) -> dict[str, str] | None:
    """Return the device that an interrupted run saved, if any; raises ContractError if it was for another token."""
    content = os.pread(descriptor, _LARGEST_DEVICE, 0)
    if not content:
        return None
    try:
        device = {str(key): str(value) for key, value in json.loads(content).items()}
    except (ValueError, AttributeError):
        return None  # the run was killed while it saved the device, so it had not presented the token yet
    if device.get(_TOKEN) != parsed[_TOKEN]:
        raise ContractError(
            f"{path}: left by an interrupted binding of another token; finish it with that token, or remove the file"
        )
    return {**device, **parsed}


def _save_device(descriptor: int, device: Mapping[str, str]) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(device).encode(), 0)
    os.fsync(descriptor)
