"""Clients that are slow, large or many: what happens at each limit, while another client is answered.

The servers are real, over TLS. Some have smaller limits than the program's own, so that no test waits for minutes.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from admission_reviews import body, pod
from tls_clients import ASKED, HEAD, dial, dialled, is_answered, is_taken, peak, series, status, until_closed
from webhook_server import Server, free_port, limited, wait_for

MEBIBYTE = 1024 * 1024


@pytest.fixture(name="small")
def _small(tmp_path: Path) -> Iterator[Server]:
    yield from limited(tmp_path, free_port(), connections=20, handshake_seconds=1, request_seconds=2)


@pytest.fixture(name="usual")
def _usual(tmp_path: Path) -> Iterator[Server]:
    yield from limited(tmp_path, free_port())


def test_half_bodies(usual: Server) -> None:
    """48 clients that send half a body and stop hold a bounded number of bytes, and others are answered."""
    head = HEAD + b"Content-Length: 3000000\r\n\r\n"
    with dialled(usual, 48, head + b" " * 2 * MEBIBYTE):
        for _ in range(5):
            assert is_answered(usual)
        assert series(usual, "keeper_injector_bytes_in_flight") < 40 * MEBIBYTE
        wait_for(lambda: series(usual, 'keeper_injector_connections_cut_total{reason="bytes"}') > 0)
    assert peak(usual) < 128


@pytest.mark.parametrize(
    ("begun", "kib"),
    [(b"GET /", 8), (HEAD + b"Content-Length: 4000000\r\n\r\n" + b" " * 60_000, 128)],
    ids=["connections", "bytes"],
)
def test_clients_that_drip_make_room(tmp_path: Path, begun: bytes, kib: int) -> None:
    """Clients that send a byte now and then keep the server waiting all the same: they lose their connections to others."""
    content = HEAD + f"Content-Length: {kib << 10}\r\nConnection: close\r\n\r\n".encode() + b" " * (kib << 10)
    over = threading.Event()

    def drip(connections: list[ssl.SSLSocket]) -> None:
        while not over.wait(0.03):
            for connection in connections:
                with contextlib.suppress(OSError):
                    connection.send(b"x")

    limits = {"connections": 20 if kib == 8 else 100, "request_seconds": 60, "bytes_in_flight": MEBIBYTE}
    for server in limited(tmp_path, free_port(), **limits):
        with contextlib.ExitStack() as stack:
            slow = [stack.enter_context(dial(server)) for _ in range(20)]
            for connection in slow:
                connection.sendall(begun)
            dripping = threading.Thread(target=drip, args=[slow])
            dripping.start()
            stack.callback(dripping.join)
            stack.callback(over.set)
            for _ in range(3):
                with dial(server) as connection:
                    connection.sendall(content)
                    assert status(until_closed(connection)) == 400


def test_what_follows_a_request_counts(usual: Server) -> None:
    """A client that sends the beginning of the next request with the first one holds these bytes after its first response too."""
    first = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with dial(usual) as connection:
        connection.sendall(first + HEAD + b"Content-Length: 3000000\r\n\r\n" + b" " * 28 * 1024)
        assert connection.recv(65536).endswith(b"ok\n")
        wait_for(lambda: series(usual, "keeper_injector_bytes_in_flight") > 28 * 1024)


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


@pytest.mark.parametrize("kib", [8, 50, 256])
def test_clients_that_stop_in_large_bodies_delay_nobody(usual: Server, kib: int) -> None:
    """A review that was sent at once is answered while 150 clients have sent more of their bodies than the server takes."""
    with dialled(usual, 150, HEAD + b"Content-Length: 3000000\r\n\r\n" + b" " * 160 * 1024):
        for _ in range(5):
            with dial(usual) as connection:
                head = f"Content-Length: {kib * 1024}\r\nConnection: close\r\n\r\n"
                connection.sendall(HEAD + head.encode() + b" " * kib * 1024)
                assert status(until_closed(connection)) == 400


def test_beginnings_of_many_large_bodies(usual: Server) -> None:
    """200 clients that send the beginning of a large body use up the bytes; reviews in several parts are answered as before."""
    sent = HEAD + b"Content-Length: 3000000\r\n\r\n" + b" " * 400 * 1024
    content = body(pod(annotations=ASKED))
    head = HEAD + f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n".encode()
    with dialled(usual, 200, sent):
        for _ in range(5):
            with dial(usual) as connection:
                for part in (head, content[:-1], content[-1:]):
                    connection.sendall(part)
                    assert series(usual, "keeper_injector_bytes_in_flight") < 24 * MEBIBYTE
                assert status(until_closed(connection)) == 200
    assert peak(usual) < 110


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
