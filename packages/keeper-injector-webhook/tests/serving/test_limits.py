"""Clients that are slow, large or many: what happens at each limit, while another client is answered.

The servers are real, over TLS. Some have smaller limits than the program's own, so that no test waits for minutes.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from admission_reviews import body, pod
from webhook_server import Server, free_port, limited, review, wait_for

ASKED = {"inject": "true", "secret": "database-credentials"}
MEBIBYTE = 1024 * 1024
HEAD = b"POST /mutate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.fixture(name="small")
def _small(tmp_path: Path) -> Iterator[Server]:
    yield from limited(tmp_path, free_port(), connections=20, handshake_seconds=1, request_seconds=2)


@pytest.fixture(name="usual")
def _usual(tmp_path: Path) -> Iterator[Server]:
    yield from limited(tmp_path, free_port())


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


def test_half_bodies(usual: Server) -> None:
    """48 clients that send half a body and stop hold a bounded number of bytes, and others are answered."""
    head = HEAD + b"Content-Length: 3000000\r\n\r\n"
    with dialled(usual, 48, head + b" " * 2 * MEBIBYTE):
        for _ in range(5):
            assert is_answered(usual)
        assert series(usual, "keeper_injector_bytes_in_flight") < 40 * MEBIBYTE
        wait_for(lambda: series(usual, 'keeper_injector_connections_cut_total{reason="bytes"}') > 0)
    assert peak(usual) < 128


def test_a_request_has_a_deadline(small: Server) -> None:
    """A client that stops amid its body or its header gets 408 at the deadline, and the connection is closed."""
    for begun in (HEAD + b"Content-Length: 100\r\n\r\n{", HEAD, b"P"):
        with dial(small) as connection:
            connection.sendall(begun)
            assert is_answered(small)
            assert status(until_closed(connection)) == 408
    assert series(small, 'keeper_injector_connections_cut_total{reason="request"}') == 3


def test_a_client_that_drips_has_the_same_deadline(small: Server) -> None:
    """The deadline is of the whole request: bytes that arrive one by one do not extend it."""
    with dial(small) as connection:
        connection.sendall(HEAD + b"Content-Length: 1000000\r\n\r\n")
        connection.settimeout(0.1)
        answer = b""
        for _ in range(100):
            with contextlib.suppress(TimeoutError):
                answer = connection.recv(65536)
                break
            connection.sendall(b" ")
        assert status(answer) == 408


def test_more_connections_than_the_limit(small: Server) -> None:
    """Idle connections make room for others; the client that has sent requests before keeps its own."""
    kept = small.connect()
    kept.request("GET", "/healthz")
    assert kept.getresponse().read() == b"ok\n"
    assert kept.sock is not None
    before = kept.sock
    with dialled(small, 100):
        assert is_answered(small)
        assert series(small, "keeper_injector_connections") <= 20
        kept.request("GET", "/healthz")
        assert kept.getresponse().read() == b"ok\n"
        assert kept.sock is before
    kept.close()


def test_slow_handshakes(small: Server) -> None:
    """Handshakes that are not completed are ended at their deadline, and count as connections until then."""
    with contextlib.ExitStack() as stack:
        stalled = []
        for number in range(60):
            raw = stack.enter_context(socket.create_connection(("127.0.0.1", small.port), timeout=20))
            raw.sendall(b"\x16\x03\x01\x02\x00"[: number % 6])
            stalled.append(raw)
        assert is_answered(small)
        assert series(small, "keeper_injector_connections") <= 20
        for raw in stalled:
            assert until_closed(raw) == b""


@pytest.mark.parametrize("expect", [b"", b"Expect: 100-continue\r\n"], ids=["", "with Expect"])
def test_a_length_over_the_limit_is_refused_before_the_body(usual: Server, expect: bytes) -> None:
    """The client gets 413 while it has sent nothing but the header."""
    with dial(usual) as connection:
        connection.sendall(HEAD + expect + b"Content-Length: 5000000\r\n\r\n")
        answer = until_closed(connection)
        assert status(answer) == 413
        assert b"connection: close" in answer.lower()
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"].startswith("the body is larger than 4096 KiB")


def test_chunks_are_counted(usual: Server) -> None:
    """A body without a length is refused when it passes the limit."""
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    with dial(usual) as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 70)
        assert status(until_closed(connection)) == 413


def test_an_endless_body_ends(usual: Server) -> None:
    """A client that ignores the error and continues to send loses its connection."""
    with dial(usual) as connection:
        connection.sendall(HEAD + b"Content-Length: 1000000000\r\n\r\n")
        assert not is_taken(connection, b" " * MEBIBYTE, 100)
        assert is_answered(usual)
    assert peak(usual) < 128


def test_a_client_that_does_not_read(small: Server) -> None:
    """A client that sends requests and reads no response loses its connection; its responses do not pile up."""
    with dial(small) as connection:
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1500)
        wait_for(lambda: series(small, 'keeper_injector_connections_cut_total{reason="request"}') > 0)
        assert until_closed(connection).count(b"HTTP/1.1 200") < 1500
    assert peak(small) < 128


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"


def test_http2_by_prior_knowledge_is_refused(tmp_path: Path) -> None:
    """Neither port speaks HTTP/2, whether a client negotiates it or begins with its preface."""
    probes = free_port()
    for server in limited(tmp_path, probes):
        plain = socket.create_connection(("127.0.0.1", probes), timeout=20)
        with dial(server) as encrypted, plain:
            assert encrypted.selected_alpn_protocol() is None
            for connection in (encrypted, plain):
                connection.sendall(PREFACE)
                answer = until_closed(connection)
                assert status(answer) == 505
                assert b"\x00\x00" not in answer
        offering = ssl.create_default_context(cadata=server.authority.cert_pem.bytes().decode())
        offering.set_alpn_protocols(["h2", "http/1.1"])
        with dial(attrs.evolve(server, context=offering)) as connection:
            assert connection.selected_alpn_protocol() == "http/1.1"


@pytest.mark.parametrize(
    "upgrade",
    [
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    ],
    ids=["h2c", "websocket"],
)
def test_upgrades_are_not_made(tmp_path: Path, upgrade: bytes) -> None:
    """A request to upgrade is answered over HTTP/1.1 on both ports, and the connection stays HTTP/1.1."""
    probes = free_port()
    for server in limited(tmp_path, probes):
        plain = socket.create_connection(("127.0.0.1", probes), timeout=20)
        with dial(server) as encrypted, plain:
            for connection in (encrypted, plain):
                connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + upgrade + b"\r\n")
                answer = connection.recv(65536)
                assert (status(answer), answer[-3:]) == (200, b"ok\n")
                connection.sendall(PREFACE)
                assert status(until_closed(connection)) == 505


def test_the_probe_port_does_not_depend_on_the_other(tmp_path: Path) -> None:
    """Kubelets are answered on the probe port while the TLS port is full."""
    probes = free_port()
    for server in limited(tmp_path, probes, connections=4):
        with dialled(server, 12, HEAD), socket.create_connection(("127.0.0.1", probes), timeout=20) as probe:
            probe.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert status(until_closed(probe)) == 200
        wait_for(lambda server=server: is_answered(server))
