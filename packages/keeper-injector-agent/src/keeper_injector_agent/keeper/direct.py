"""HTTPS requests without a proxy, with the standard library alone: importing more takes longer than a whole refresh."""

from __future__ import annotations

import http.client
import select
import socket
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING

from keeper_injector_agent.errors import PermanentVaultError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from keeper_injector_agent.keeper.urls import HttpsUrl

_BLOCK = 64 * 1024


def new_context(ca_file: Path | None) -> ssl.SSLContext:
    """Return a context that trusts the CA in *ca_file*, if any, and no other; raises PermanentVaultError."""
    # Verifies certificates as well. A default context would also load the system's CAs (18 ms).
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError):
            raise PermanentVaultError(
                f"{ca_file}: not a certificate in PEM format; check keeper.security/ca-cert-key"
            ) from None
    return context


class Connections:
    """One connection for each host, which is kept between requests. Redirects are never followed."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._open: dict[tuple[str, int], http.client.HTTPSConnection] = {}

    @contextmanager
    def send(
        self,
        method: str,
        url: HttpsUrl,
        headers: Mapping[str, str],
        body: bytes | None,
        *,
        timeout: tuple[float, float],
    ) -> Iterator[tuple[http.client.HTTPResponse, Iterator[bytes]]]:
        """Send a request, and yield the response with its body in blocks; raises OSError or HTTPException.

        *timeout* has the seconds for the connection, and for each wait for data.
        """
        key = url.host, url.port
        connection = self._open.pop(key, None)
        if connection is None or _has_ended(connection):
            connection = http.client.HTTPSConnection(*key, context=self._context)
        try:
            if connection.sock is None:
                connection.sock = self._connect(url, timeout[0])
            connection.sock.settimeout(timeout[1])
            connection.request(method, url.path, body, dict(headers))
            response = connection.getresponse()
            yield response, blocks(response)
            if response.isclosed():
                self._open[key] = connection
        finally:
            if key not in self._open:
                connection.close()

    def __del__(self) -> None:
        """Close the connections of a transport that nobody closed."""
        self.close()

    def close(self) -> None:
        """Close all connections; the next request opens a new one."""
        while self._open:
            self._open.popitem()[1].close()

    def _connect(self, url: HttpsUrl, timeout: float) -> ssl.SSLSocket:
        """Return a TLS connection, as ``HTTPSConnection.connect`` does; raises OSError.

        The host is bytes, which :func:`socket.getaddrinfo` and :meth:`ssl.SSLContext.wrap_socket` take as they are. A text would be
        encoded with IDNA, whose import takes 1 ms, and which raises UnicodeError for a name that is too long.
        """
        host = url.host.encode("ascii")
        plain = socket.create_connection((host, url.port), timeout)  # type: ignore[arg-type] # see above
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            return self._context.wrap_socket(plain, server_hostname=host)
        except BaseException:
            plain.close()
            raise


def _has_ended(connection: http.client.HTTPSConnection) -> bool:
    """Close a connection that the server has closed: before a request, there is nothing else to read."""
    ended = connection.sock is None or bool(select.select([connection.sock], [], [], 0)[0])
    if ended:
        connection.close()
    return ended


def blocks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """Yield the body as it arrives; raises IncompleteRead if it ends early."""
    while block := response.read1(_BLOCK):
        yield block
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)
    response.close()  # read1() leaves a response open that has been read to its end, and the connection could not be used again
