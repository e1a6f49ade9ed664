"""Local Keeper as an object, for tests and for the command line."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import secrets
import socket
import tempfile
import threading
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hypercorn.asyncio import serve
from hypercorn.config import Config
from starlette.applications import Starlette
from starlette.routing import Route

from local_keeper import certificates, control, crypto
from local_keeper.app import ServerState, create_app
from local_keeper.faults import Fault, Faults
from local_keeper.page import create_page
from local_keeper.vault import Device, FolderDamage, Vault

LOOPBACK = ("localhost", "127.0.0.1", "::1")


class LocalKeeper:
    """A local Keeper that serves from a thread of this process until it is stopped."""

    def __init__(
        self,
        vault: Vault,
        directory: Path,
        *,
        host: str,
        port: int,
        names: Iterable[str],
        key_id: int = 99,
        page_port: int | None = None,
    ) -> None:
        self._directory = directory
        self.port, self._descriptor = _listen(host, port)
        self._page = None if page_port is None else _listen("127.0.0.1", page_port)
        self.hostname = f"{next(iter(names), 'localhost')}:{self.port}"
        self.state = ServerState(vault, Faults(), self.hostname, key_id=key_id)
        self._devices: dict[str, dict[str, str]] = {}
        self.control_token = secrets.token_urlsafe(32)
        self.ca_file = directory / "ca.crt"
        ca, certificate, key = certificates.issue([*names, *LOOPBACK])
        self.ca_file.write_bytes(ca)
        (directory / "tls.crt").write_bytes(certificate)
        key_file = directory / "tls.key"
        key_file.touch(0o600)
        key_file.write_bytes(key)
        self._stop = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="local-keeper", daemon=True)

    @classmethod
    def start(
        cls,
        vault: str | Path | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        names: Iterable[str] = (),
        directory: Path | None = None,
        key_id: int = 99,
        page_port: int | None = None,
    ) -> Self:
        """Start with a vault from a YAML text or file (default: the sample).

        *names* are more names of the server, *key_id* is that of its public key: the ``ksm`` command line knows only 10. With a
        *page_port* (0: a free one) the web page is served at :attr:`page_url`, always on the loopback address.
        """
        where = Path(tempfile.mkdtemp(prefix="local-keeper-")) if directory is None else directory
        where.mkdir(parents=True, exist_ok=True)
        keeper = cls(
            Vault.from_yaml(_vault_text(vault)),
            where,
            host=host,
            port=port,
            names=tuple(names),
            key_id=key_id,
            page_port=page_port,
        )
        keeper._thread.start()
        return keeper

    def stop(self) -> None:
        """Stop the server and close open connections."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout=10)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        logging.getLogger("hypercorn.error").setLevel(logging.CRITICAL)  # it reports every cut connection as an error
        config = _config(self._descriptor)
        config.certfile, config.keyfile = str(self._directory / "tls.crt"), str(self._directory / "tls.key")
        app = create_app(self.state, Route("/control", control.route(self), methods=["POST"]))
        asyncio.set_event_loop(self._loop)
        # Requests that hang on purpose are cancelled at the end; asyncio would report each.
        self._loop.set_exception_handler(lambda _loop, _context: None)
        served = [(app, config)]
        if self._page is not None:
            served.append((create_page(self), _config(self._page[1])))
        self._loop.run_until_complete(self._serve(served))
        self._loop.close()

    async def _serve(self, served: list[tuple[Starlette, Config]]) -> None:
        await asyncio.gather(
            *(serve(app, config, shutdown_trigger=self._stop.wait) for app, config in served)  # type: ignore[arg-type] # any awaitable
        )

    # What clients need

    @property
    def url(self) -> str:
        """The server's address."""
        return f"https://{self.hostname}"

    @property
    def page_url(self) -> str | None:
        """The address of the web page; None without one."""
        return None if self._page is None else f"http://127.0.0.1:{self._page[0]}/"

    @property
    def server_key_id(self) -> str:
        """Id of the server's public key."""
        return str(self.state.key_id)

    @property
    def server_public_key(self) -> str:
        """The server's public key as KSM configurations hold it."""
        return crypto.b64url(crypto.point(self.state.key.public_key()))

    def token(self) -> str:
        """Return a fresh one-time token."""
        return self.vault.new_token()

    def config_dict(self, device: str = "default") -> dict[str, str]:
        """Return the bound KSM configuration of a *device*, which is created on first use."""
        if device not in self._devices:
            bound, key = self.vault.bound_device(device)
            self._devices[device] = {
                "hostname": self.hostname,
                "clientId": bound.client_id,
                "privateKey": crypto.b64(crypto.pkcs8(key)),
                "appKey": crypto.b64(self.vault.app_key),
                "appOwnerPublicKey": crypto.b64(crypto.point(self.vault.owner.public_key())),
                "serverPublicKeyId": self.server_key_id,
                "serverPublicKey": self.server_public_key,
            }
        return dict(self._devices[device])

    def config(self, device: str = "default") -> str:
        """Return the same as base64 of JSON, as the Keeper vault shows it to people."""
        return base64.b64encode(json.dumps(self.config_dict(device)).encode()).decode()

    # What tests change

    @property
    def vault(self) -> Vault:
        """The contents."""
        return self.state.vault

    def uid(self, record: str) -> str:
        """Return the UID of a record."""
        return self.vault.find(record).uid

    def set_field(self, record: str, field: str, value: object) -> None:
        """Change a field of a record."""
        self.vault.set_field(record, field, value)

    def set_notes(self, record: str, notes: str) -> None:
        """Change a record's notes."""
        self.vault.find(record).data["notes"] = notes

    def set_file(self, record: str, name: str, content: bytes) -> None:
        """Change or add a file of a record."""
        from local_keeper.vault import File

        found = self.vault.find(record)
        found.files[:] = [file for file in found.files if file.name != name] + [File(name, content)]
        found.revision += 1

    def add_record(self, content: Mapping[str, Any], folder: str = "") -> str:
        """Add a record written as in the YAML file; returns its UID."""
        return self.vault.add_record(content, folder)

    def remove_record(self, record: str) -> None:
        """Remove a record, or stop sharing it: a client sees no difference."""
        with self.vault.lock:
            del self.vault.records[self.uid(record)]

    def corrupt_record(self, record: str) -> None:
        """Send a record so that no key decrypts it, from now on."""
        self.vault.find(record).corrupt = True

    def add_shortcut(self, record: str, folder: str = "") -> None:
        """Put a record into one more folder, by UID or name; without *folder*, share the record itself as well."""
        self.vault.find(record).shortcuts.append(self.vault.find_folder(folder).uid if folder else "")

    def damage_folder(self, folder: str, damage: FolderDamage) -> None:
        """Send a folder, by UID or name, with a key, name or parent that clients cannot use, from now on."""
        self.vault.find_folder(folder).damage = damage

    def revoke(self, device: str = "default") -> None:
        """Revoke a device's access."""
        self._device(device).revoked = True

    def _device(self, device: str) -> Device:
        return self.vault.devices[self.config_dict(device)["clientId"]]

    def fault(self, fault: Fault, operation: str = "*", times: int | None = 1, *, after: int = 0) -> None:
        """Let the next *times* requests of *operation* fail, *after* that many succeed; None: until :meth:`clear_faults`."""
        self.state.faults.arm(fault, operation, times, after=after)

    def clear_faults(self) -> None:
        """Remove all faults and end an outage."""
        self.state.faults.clear()

    def outage(self, seconds: float) -> None:
        """Answer every request with 503 for that long."""
        self.state.faults.outage(seconds)

    def throttle_rule(self, limit: int | None = 100, window: float = 10.0) -> None:
        """Set Keeper's throttle rule (None: off): requests per seconds for each client and operation."""
        self.state.faults.throttle_rule(limit, window)

    def rotate_server_key(self, *, new_key: bool = False) -> None:
        """Ask clients for another key id; with *new_key* the key behind it changes too, which a pinned key cannot follow."""
        self.state.key_id += 1
        if new_key:
            self.state.key = crypto.new_key()

    @property
    def requests(self) -> Mapping[str, int]:
        """The number of requests by operation."""
        return dict(self.state.requests)

    def reset_requests(self) -> None:
        """Set the counts to zero."""
        self.state.requests.clear()


def _listen(host: str, port: int) -> tuple[int, int]:
    """Return the port and the descriptor of a listening socket. Hypercorn creates its own socket from it and closes it."""
    listener = socket.create_server((host, port), backlog=256)
    return int(listener.getsockname()[1]), listener.detach()


def _config(descriptor: int) -> Config:
    config = Config()
    config.bind = [f"fd://{descriptor}"]
    config.alpn_protocols = ["http/1.1"]
    config.graceful_timeout = 0.1
    config.keep_alive_timeout = 60.0
    config.errorlog = None
    return config


def _vault_text(vault: str | Path | None) -> str:
    if vault is None:
        return resources.files("local_keeper").joinpath("sample-vault.yaml").read_text(encoding="utf-8")
    if isinstance(vault, Path):
        return vault.read_text(encoding="utf-8")
    return vault
