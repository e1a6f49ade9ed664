"""A forward proxy for tests. It knows only CONNECT, and can redirect hosts to local ports."""

from __future__ import annotations

import base64
import select
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import attrs

OK = b"HTTP/1.1 200 Connection established\r\n\r\n"
BLOCK = 65536


@attrs.define
class Proxy:
    """A running proxy."""

    url: str
    targets: list[str] = attrs.field(factory=list)
    """The targets that clients connected to, as ``host:port``."""
    attempts: int = 0
    """Connections, including refused ones."""


@contextmanager
def proxy(redirects: Mapping[str, int] | None = None, *, user: str = "", status: str = "") -> Iterator[Proxy]:
    """Run a proxy. It redirects connections to the hosts in *redirects* to these local ports.

    It serves only *user*, a name with a password (``name:password``), if one is set. It refuses everyone with *status*.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    running = Proxy(f"http://127.0.0.1:{listener.getsockname()[1]}")

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=tunnel, args=(client,), daemon=True).start()

    def tunnel(client: socket.socket) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += client.recv(BLOCK)
        running.attempts += 1
        refusal = status or ("407 Proxy Authentication Required" if user and not _is_from(user, head) else "")
        if refusal:
            with client:
                client.sendall(f"HTTP/1.1 {refusal}\r\nContent-Length: 0\r\n\r\n".encode())
            return
        target = head.split(b" ")[1].decode()
        running.targets.append(target)
        host, _, port = target.rpartition(":")
        local = (redirects or {}).get(host)
        with client:
            try:
                server = socket.create_connection(("127.0.0.1", local) if local else (host, int(port)))
            except OSError:
                client.sendall(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
                return
            client.sendall(OK)
            with server:
                _carry(client, server)

    threading.Thread(target=serve, daemon=True).start()
    with listener:
        yield running
        listener.shutdown(socket.SHUT_RDWR)


def _is_from(user: str, head: bytes) -> bool:
    """Return whether the *head* of a request has the Basic authentication of *user* (RFC 7617)."""
    wanted = b"basic " + base64.b64encode(user.encode())
    fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
    return fields.get(b"Proxy-Authorization", b"").replace(b"Basic", b"basic", 1) == wanted


def _carry(client: socket.socket, server: socket.socket) -> None:
    """Carry bytes in both directions until one end closes its connection."""
    ends = {client: server, server: client}
    while True:
        for end in select.select(list(ends), [], [])[0]:
            try:
                data = end.recv(BLOCK)
                ends[end].sendall(data)
            except OSError:
                return
            if not data:
                return
