"""A one-time token → a KSM configuration in a file: bound once, never twice, and nothing that exists is written over.

Keeper gives the application to the first private key that shows the token, and to no other. So the key is kept on disk,
beside the configuration to be, before the token is shown: whatever fails then, the next run goes on with the same key.
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
from keeper_injector_agent.keeper.sdk import REGIONS, new_device
from keeper_injector_agent.keeper.sdk import bind as bind_device
from keeper_injector_agent.keeper.transport import Transport
from keeper_injector_agent.retry import retried
from keeper_injector_common.errors import ContractError

PENDING = ".pending"
TOKEN_BYTES = 32


def bind(token: str, output: Path, hostname: str | None, ca_file: Path | None, *, deadline: float) -> None:
    """Write the configuration that *token* gives to *output*, within *deadline* seconds.

    Raises ContractError for a token that is none and for files in the way, VaultError when Keeper refuses.
    """
    given = parse_token(token, hostname)
    if output.exists():
        raise ContractError(
            f"{output}: exists; name another file, or remove this one if nothing uses it (the token is unspent)"
        )
    until = time.monotonic() + deadline
    transport = Transport(ca_file=ca_file, deadline=until)
    pending = output.with_name(f"{output.name}{PENDING}")
    with _locked(pending) as stream:
        device = _begun(pending, stream, given) or new_device(given, transport)
        _keep(stream, device)
        bound = retried(partial(bind_device, device, transport), deadline=until - time.monotonic())
        _publish(output, bound)
        pending.unlink()


def parse_token(text: str, hostname: str | None = None) -> dict[str, str]:
    """Read ``TOKEN``, ``REGION:TOKEN``, ``HOST:TOKEN``, ``HOST:PORT:TOKEN`` or ``IL5:TOKEN:KEY_ID:KEY``.

    *hostname* goes before what the token says. Returns parts of a KSM configuration; raises ContractError, never with
    the token.
    """
    head, *rest = text.split(":")
    more: dict[str, str] = {}
    match rest:
        case []:
            host, token = "", head
        case [token]:
            host = REGIONS.get(head.upper(), head)
        case [port, token] if port.isdigit():
            host = f"{head}:{port}"
        case [token, key_id, key] if head.upper() in REGIONS and key_id and key:
            host = REGIONS[head.upper()]
            more = {"serverPublicKeyId": key_id, "serverPublicKey": key}
        case _:
            raise ContractError("one-time token: not of the form REGION:TOKEN; copy it as Keeper shows it")
    if not _is_token(token):
        raise ContractError("one-time token: not 43 letters and digits after the region; copy it as Keeper shows it")
    if not (hostname or host):
        raise ContractError(
            "one-time token: no region in it; say which Keeper by --hostname, such as keepersecurity.com"
        )
    return {"clientKey": token, "hostname": hostname or host, **more}


def _is_token(text: str) -> bool:
    try:
        return len(base64.b64decode(f"{text}=", altchars="-_", validate=True)) == TOKEN_BYTES
    except (binascii.Error, ValueError):
        return False


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Open *path*, to be read by its owner alone, for one process at a time."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield descriptor
    except BlockingIOError:
        raise ContractError(f"{path}: another process is binding this token; wait for it") from None
    finally:
        os.close(descriptor)


def _begun(path: Path, descriptor: int, given: Mapping[str, str]) -> dict[str, str] | None:
    """Return the device of an earlier run that did not come to its end; None when there was none."""
    content = os.pread(descriptor, 65536, 0)
    if not content:
        return None
    try:
        device = {str(key): str(value) for key, value in json.loads(content).items()}
    except (ValueError, AttributeError):
        return None  # killed while it was written: the token was not shown yet
    if device.get("clientKey") != given["clientKey"]:
        raise ContractError(f"{path}: another token's binding was begun; finish it with that token, or remove the file")
    return {**device, **given}


def _keep(descriptor: int, device: Mapping[str, str]) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(device).encode(), 0)
    os.fsync(descriptor)


def _publish(output: Path, configuration: Mapping[str, str]) -> None:
    """Give *output* its content and its name at once, unless the name has been taken meanwhile."""
    temporary = output.with_name(f".{output.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as stream:  # noqa: PTH123 - an open descriptor
        json.dump(configuration, stream, indent=2)
        stream.flush()
        os.fsync(descriptor)
    try:
        os.link(temporary, output)
    except FileExistsError:
        raise WriteError(f"{output}: appeared meanwhile; run again with another --output") from None
    finally:
        temporary.unlink()
