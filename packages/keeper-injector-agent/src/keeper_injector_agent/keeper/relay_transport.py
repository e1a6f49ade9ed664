"""Fetches the files of one application from a relay: deadlines, limits and digests; every failure is a VaultError."""

from __future__ import annotations

import hashlib
import http.client
import ssl
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

from keeper_injector_agent.errors import PermanentVaultError, TransientVaultError
from keeper_injector_agent.keeper.direct import blocks, new_context
from keeper_injector_agent.keeper.limits import SizeLimits, size_limits
from keeper_injector_agent.retry import LONGEST_PATIENCE
from keeper_injector_agent.snapshot.names import HEAD_NAME, application_path, index_name, record_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from keeper_injector_common.relay_url import RelayUrl

    Receive = Callable[[bytes], object]

NOT_PUBLISHED = "relay:not-published"
"""Stands for the URL of an attachment that the relay does not have."""


class RelayTransport:
    """Fetches the files of one application from a relay until a deadline, and counts requests by result.

    It takes the place of :class:`~keeper_injector_agent.keeper.transport.Transport`. The environment's proxy is not used: a
    relay is in the cluster.
    """

    def __init__(
        self,
        url: RelayUrl,
        application: str,
        *,
        ca_file: Path | None,
        deadline: float,
        patience: float = LONGEST_PATIENCE,
        sizes: SizeLimits | None = None,
    ) -> None:
        self.counts: dict[str, int] = {}
        self.place = url.text
        self._path = f"/{application_path(application)}/"
        self._deadline = deadline
        self._patience = patience
        self._sizes = sizes or size_limits()
        self._connection = _connection(url, ca_file)
        self._tls = url.tls
        self.head: list[str] = []
        """Address, port and path of the head, once a file has been fetched, if it is served without TLS."""

    def get(self, name: str, largest: int) -> bytes:
        """Return a file of the application, of at most *largest* bytes; raises VaultError."""
        content = bytearray()
        self._fetch(name, largest, content.extend)
        return bytes(content)

    def record(self, digest: str) -> bytes:
        """Return the file of a record; raises VaultError."""
        return _checked(self.get(record_name(digest), self._sizes.response), digest)

    def index(self, digest: str) -> bytes:
        """Return an index; raises VaultError."""
        return _checked(self.get(index_name(digest), self._sizes.response), digest)

    def download(self, url: object, receive: Receive) -> None:
        """Download an attachment; *url* is what :mod:`.relayed` has put in the place of its URL. Raises VaultError."""
        if not isinstance(url, str) or url == NOT_PUBLISHED:
            raise PermanentVaultError(
                "relay: does not publish this attachment, because it is too large or could not be downloaded; see the log of "
                "the relay"
            )
        self._fetch(url, self._sizes.file, receive)

    def close(self) -> None:
        """Close the connection, which is kept between requests."""
        self._connection.close()

    def _fetch(self, name: str, largest: int, receive: Receive) -> None:
        try:
            self._exchange(name, largest, receive)
        except TimeoutError:
            self._fail("timeout")
            raise TransientVaultError(f"relay: {self.place} did not answer in time") from None
        except ssl.SSLCertVerificationError as error:
            self._fail("tls")
            raise PermanentVaultError(
                f"relay: no trusted TLS connection to {self.place} ({error.verify_message}); set keeper.security/ca-cert-configmap"
            ) from None
        except (http.client.HTTPException, OSError) as error:
            self._fail("connection")
            cause = isinstance(error, OSError) and error.strerror
            raise TransientVaultError(
                f"relay: no connection to {self.place} ({cause or type(error).__name__}); check its Service and network policies"
            ) from None
        else:
            self._count("ok")

    def _exchange(self, name: str, largest: int, receive: Receive) -> None:
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        self._connection.timeout = min(self._patience, remaining)
        if self._connection.sock is not None:
            self._connection.sock.settimeout(self._connection.timeout)
        self._connection.request("GET", f"{self._path}{name}")
        if not self._tls and not self.head:
            # Behind a name may be several addresses; that of a Service stays.
            address, port = self._connection.sock.getpeername()[:2]
            self.head = [address, str(port), f"{self._path}{HEAD_NAME}"]
        response = self._connection.getresponse()
        if response.status != HTTPStatus.OK:
            self._fail(f"http_{response.status}")
            raise TransientVaultError(_status_message(response.status, name))
        size = 0
        for block in blocks(response):
            size += len(block)
            if size > largest:
                self._fail("too_large")
                raise PermanentVaultError(
                    f"relay: a file is larger than {largest / 2**20:.0f} MiB, the most that this container's memory allows; "
                    "share fewer or smaller records, or raise keeper.security/agent-limits-memory"
                )
            if time.monotonic() > self._deadline:
                raise TimeoutError
            receive(block)

    def _fail(self, result: str) -> None:
        self._connection.close()
        self._count(result)

    def _count(self, result: str) -> None:
        self.counts[result] = self.counts.get(result, 0) + 1


def _connection(url: RelayUrl, ca_file: Path | None) -> http.client.HTTPConnection:
    if not url.tls:
        return http.client.HTTPConnection(url.host, url.port)
    context = new_context(ca_file)
    if ca_file is None:
        context.load_default_certs()
    # Certificates name hosts without the final dot of an absolute name (RFC 6066, section 3).
    return http.client.HTTPSConnection(url.host.rstrip("."), url.port, context=context)


def _status_message(status: int, name: str) -> str:
    if status == HTTPStatus.NOT_FOUND and name == HEAD_NAME:
        return (
            "relay: publishes nothing for this application (HTTP 404): either it has not reached Keeper yet, or it does not have "
            "the relay's half of this configuration; see the log of the relay"
        )
    return f"relay: HTTP {status} for {name.partition('/')[0].partition('-')[0]}"


def _checked(content: bytes, digest: str) -> bytes:
    if hashlib.sha256(content).hexdigest() != digest:
        raise TransientVaultError(
            "relay: a file does not have the content that the signed snapshot names; it is not used"
        )
    return content
