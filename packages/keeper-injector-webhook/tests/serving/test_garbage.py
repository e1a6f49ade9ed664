"""A connection that has ended leaves nothing for the garbage collector, which would free its TLS state only minutes later."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme
import uvloop
from admission_reviews import body, pod
from hypercorn.config import Config
from tls_clients import HEAD, until_closed
from webhook_server import free_port, issue

from keeper_injector_webhook.metrics import Metrics
from keeper_injector_webhook.serving.app import create_app
from keeper_injector_webhook.serving.connections import Connections
from keeper_injector_webhook.serving.http1 import Http1Server
from keeper_injector_webhook.serving.limits import Limits
from keeper_injector_webhook.serving.listener import Listener
from keeper_injector_webhook.serving.tls import LiveCertificate
from keeper_injector_webhook.settings import Settings

ASKED = body(pod(annotations={"inject": "true", "secret": "db"}))
REVIEW = HEAD + f"Content-Length: {len(ASKED)}\r\n\r\n".encode() + ASKED
METRICS = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
OF_A_CONNECTION = {
    "SSLProtocol",
    "SSLObject",
    "_SSLProtocolTransport",
    "ByteStream",
    "RequestParser",
}

Client = Callable[[socket.socket, ssl.SSLContext, threading.Event], None]
"""Uses a connection; the event is set when the server has ended it."""


def reset(connection: socket.socket) -> None:
    """Close a connection so that the server gets an error instead of the end of the stream."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def sending(content: bytes, *, resets: bool = False, reads: bool = True) -> Client:
    """Return a client that sends this over TLS; then it reads, waits until the server has ended the connection, or resets it."""

    def run(raw: socket.socket, context: ssl.SSLContext, ended: threading.Event) -> None:
        with context.wrap_socket(raw, server_hostname="localhost") as connection:
            with contextlib.suppress(OSError):
                connection.sendall(content)
            if resets:
                connection.recv(1)
                reset(connection)
            elif reads:
                until_closed(connection)
            else:
                ended.wait(20)

    return run


def closed_after_a_review(raw: socket.socket, context: ssl.SSLContext, _ended: threading.Event) -> None:
    """Send a review, read some of the answer, and close the connection."""
    with context.wrap_socket(raw, server_hostname="localhost") as connection:
        connection.sendall(REVIEW)
        connection.recv(65536)


def reset_in_the_handshake(raw: socket.socket, _context: ssl.SSLContext, _ended: threading.Event) -> None:
    """Send the beginning of a handshake and reset the connection."""
    raw.sendall(b"\x16\x03\x01\x02\x00")
    reset(raw)


def plain(content: bytes) -> Client:
    """Return a client that sends this without TLS, and waits until the server ends the connection."""

    def run(raw: socket.socket, _context: ssl.SSLContext, _ended: threading.Event) -> None:
        raw.sendall(content)
        until_closed(raw)

    return run


WAYS: dict[str, Client] = {
    "the client closes it after a review": closed_after_a_review,
    "the client resets it after a review": sending(REVIEW, resets=True),
    "the client resets it amid many responses": sending(METRICS * 300, resets=True),
    "the client resets it in the handshake": reset_in_the_handshake,
    "the handshake is not completed in time": plain(b"\x16\x03\x01\x02\x00"),
    "the handshake does not begin": plain(b""),
    "the client speaks no TLS": plain(METRICS),
    "the request is not HTTP": sending(b"\x00\r\n\r\n"),
    "the request is of HTTP/2": sending(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "the header is too large": sending(HEAD + b"X: " + b"x" * 100_000),
    "the body is too large": sending(HEAD + b"Content-Length: 99999999\r\n\r\n" + b" " * 500_000),
    "a chunk is malformed": sending(HEAD + b"Transfer-Encoding: chunked\r\n\r\nx\r\n"),
    "the request does not arrive in time": sending(HEAD),
    "the client sends nothing after the handshake": sending(b""),
    "the client reads no response": sending(METRICS * 1500, reads=False),
    "the client does not answer the end of TLS": sending(
        REVIEW.replace(b"\r\n", b"\r\nConnection: close\r\n", 1), reads=False
    ),
}


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Turn the garbage collector off."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.parametrize("way", WAYS)
def test_a_connection_leaves_no_garbage(tmp_path: Path, way: str) -> None:
    """However a connection ends, its objects are freed without the garbage collector."""
    authority = trustme.CA()
    issue(authority, tmp_path)
    context = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
    with uncollected():
        assert uvloop.run(left(tmp_path, context, WAYS[way])) == []


async def left(directory: Path, context: ssl.SSLContext, client: Client) -> list[str]:
    """Run a server and a client; return the types of the objects that are still there 10 seconds after the client."""
    metrics = Metrics()
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    limits = Limits(handshake_seconds=0.5, request_seconds=0.5, idle_seconds=0.5)
    app = create_app(Settings(), metrics, lambda: True)
    server = Http1Server(app, Config(), Connections(limits, metrics), metrics)
    port = free_port()
    listener = Listener("127.0.0.1", port, server, LiveCertificate(directory, metrics).context)
    listener.start()
    resume, ended = listener.connections.on_release, threading.Event()

    def released() -> None:
        resume()
        ended.set()

    listener.connections.on_release = released
    await asyncio.to_thread(run_client, port, context, client, ended)
    until = time.monotonic() + 10
    while (found := objects()) and time.monotonic() < until:  # noqa: ASYNC110 - no event tells that objects were freed
        await asyncio.sleep(0.05)
    await listener.stop(1)
    return found


def run_client(port: int, context: ssl.SSLContext, client: Client, ended: threading.Event) -> None:
    """Open a connection for a client that may end it as it likes."""
    with socket.socket() as raw:
        raw.settimeout(20)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        raw.connect(("127.0.0.1", port))
        with contextlib.suppress(OSError):
            client(raw, context, ended)


def objects() -> list[str]:
    """Return the types of the objects that belong to connections of the server."""
    names = (type(one).__name__ for one in gc.get_objects())
    return sorted(name for name in names if name in OF_A_CONNECTION)
