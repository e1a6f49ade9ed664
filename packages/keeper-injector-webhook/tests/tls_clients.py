"""Clients that send what they like over TLS, byte by byte, and what a test reads from the server's metrics and memory."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

from admission_reviews import body, pod
from webhook_server import Server, review

ASKED = {"inject": "true", "secret": "database-credentials"}
HEAD = b"POST /mutate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@contextlib.contextmanager
def dialled(server: Server, count: int, sent: bytes = b"") -> Iterator[list[ssl.SSLSocket]]:
    """Open so many connections, and send the same on each."""
    with contextlib.ExitStack() as stack:
        sockets = []
        for _ in range(count):
            sockets.append(stack.enter_context(dial(server)))
            with contextlib.suppress(OSError):
                sockets[-1].sendall(sent)
        yield sockets


def dial(server: Server) -> ssl.SSLSocket:
    """Open one connection."""
    raw = socket.socket()
    raw.settimeout(20)
    # Small, so that a client that does not read is noticed after a few responses.
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
    raw.connect(("127.0.0.1", server.port))
    try:
        return server.context.wrap_socket(raw, server_hostname="localhost")
    except OSError:
        raw.close()
        raise


def until_closed(connection: socket.socket) -> bytes:
    """Return everything that the server sends until it closes the connection."""
    received = b""
    with contextlib.suppress(OSError):
        while chunk := connection.recv(65536):
            received += chunk
    return received


def status(answer: bytes) -> int:
    """Return the status of a response."""
    found = re.match(rb"HTTP/1\.1 (\d{3}) ", answer)
    assert found, answer[:200]
    return int(found[1])


def is_taken(connection: ssl.SSLSocket, content: bytes, times: int) -> bool:
    """Send something many times; return whether the server took all of it."""
    try:
        for _ in range(times):
            connection.sendall(content)
    except OSError:
        return False
    return True


def is_answered(server: Server) -> bool:
    """Return whether a client that sends a review at once is answered."""
    return bool(review(server, body(pod(annotations=ASKED)))["allowed"])


def series(server: Server, name: str) -> float:
    """Return the value of a metric; 0 if it is missing."""
    text = server.request("GET", "/metrics")[1].decode()
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def peak(server: Server) -> float:
    """Return the most memory that the server had, in MiB."""
    text = Path(f"/proc/{server.process.pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+)", text)[1]) / 1024  # type: ignore[index]
