"""Clients that are slow, large or many: what happens at each limit, while another client is answered.

The servers are real, over TLS. Some have smaller limits than the program's own, so that no test waits for minutes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from admission_reviews import body, pod
from tls_clients import ASKED, HEAD, dial, dialled, is_answered, is_taken, peak, series, status, until_closed
from webhook_server import Server, free_port, limited, wait_for

from keeper_injector_webhook.metrics import Metrics
from keeper_injector_webhook.serving.connection import Phase
from keeper_injector_webhook.serving.connections import Connections
from keeper_injector_webhook.serving.limits import Limits

MEBIBYTE = 1024 * 1024


def has_ended(connection: socket.socket) -> bool:
    """Return whether the other side has ended the connection."""
    try:
        return not connection.recv(1)
    except BlockingIOError:
        return False


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


@pytest.mark.parametrize(
    ("handshakes", "idle", "cut"),
    [
        pytest.param(0, 200, [], id="handshakes begin, and one client is slow to send its request"),
        pytest.param(150, 200, [Phase.HANDSHAKE] * 16, id="handshakes stop"),
        pytest.param(0, 500, [Phase.IDLE], id="one client sends no request for long"),
    ],
)
def test_what_most_clients_do_makes_room_first(handshakes: int, idle: int, cut: list[Phase]) -> None:
    """A server full of handshakes ends those that stop; a client that is slow to send its request may take four times as long."""
    with contextlib.ExitStack() as stack:
        opened = []
        connections = Connections(Limits(connections=20, patience_seconds=100), Metrics())
        for number in range(20):
            ours, theirs = map(stack.enter_context, socket.socketpair())
            ours.setblocking(False)
            theirs.setblocking(False)
            connection = connections.add(ours)
            connection.enter(Phase.HANDSHAKE if number else Phase.IDLE)
            connection.since -= handshakes if number else idle
            opened.append((connection.phase, theirs))
        assert not connections.has_room()
        assert [phase for phase, theirs in opened if has_ended(theirs)] == cut


def test_who_holds_the_most_makes_room_first() -> None:
    """A small review that is late keeps its connection while a client with half a large body loses its own."""
    with contextlib.ExitStack() as stack:
        connections = Connections(Limits(bytes_in_flight=3 * MEBIBYTE), Metrics())
        opened = []
        for size, seconds in ((2048, 2.0), (2 * MEBIBYTE, 1.0), (2 * MEBIBYTE, 0.0)):
            ours, theirs = map(stack.enter_context, socket.socketpair())
            ours.setblocking(False)
            theirs.setblocking(False)
            connection = connections.add(ours)
            connection.enter(Phase.REQUEST)
            connection.since -= seconds
            connection.asked = connection.since
            connections.hold(connection, size)
            opened.append((connection, theirs))

        async def wait_for_room() -> list[bool]:
            waiting = asyncio.create_task(connections.wait_for_room(opened[-1][0]))
            await asyncio.sleep(0)
            ended = [has_ended(theirs) for _, theirs in opened]
            connections.remove(opened[1][0])
            await waiting
            return ended

        assert asyncio.run(wait_for_room()) == [False, True, False]


def test_a_request_that_waits_for_room_keeps_its_connection() -> None:
    """The server does not read from it, so that the kernel has nothing, whatever its client has sent. A client that left loses it."""
    with contextlib.ExitStack() as stack:
        connections = Connections(Limits(bytes_in_flight=MEBIBYTE), Metrics())
        opened = []
        for left in (MEBIBYTE, 2 * MEBIBYTE, 3 * MEBIBYTE):
            ours, theirs = map(stack.enter_context, socket.socketpair())
            ours.setblocking(False)
            theirs.setblocking(False)
            connection = connections.add(ours)
            connection.enter(Phase.REQUEST)
            connection.since -= 1
            connection.left = left
            connections.hold(connection, MEBIBYTE)
            opened.append((connection, theirs))

        async def run() -> list[bool]:
            waiting = [asyncio.create_task(connections.wait_for_room(one)) for one, _ in opened]
            opened[2][1].shutdown(socket.SHUT_WR)
            await waiting[0]
            opened[0][0].asked = time.monotonic()
            await waiting[2]
            ended = [has_ended(theirs) for _, theirs in opened]
            waiting[1].cancel()
            return ended

        assert asyncio.run(run()) == [False, False, True]


LARGE = Limits().small_bytes + 1


@pytest.mark.parametrize(
    ("requests", "read"),
    [
        ([(LARGE - 1, MEBIBYTE), (LARGE, MEBIBYTE)], [0, 1]),
        ([(LARGE, 3 * MEBIBYTE), (LARGE, 4096)], [0, 1]),
        ([(LARGE, 3 * MEBIBYTE), (LARGE, 2 * MEBIBYTE), (LARGE, 4096)], [0, 2]),
        ([(LARGE, 4 * MEBIBYTE), (LARGE, 8192), (LARGE, 4096)], [0]),
        ([(LARGE, 4096)] * 50, list(range(50))),
    ],
    ids=["a small one", "two that fit", "one that does not fit", "no room", "many that fit"],
)
def test_who_reads_when_there_is_no_room(requests: list[tuple[int, int]], read: list[int]) -> None:
    """Small requests, and as many large ones as lack the limit together; one is always read, and leaves its place when it is answered."""
    with contextlib.ExitStack() as stack:
        connections = Connections(Limits(), Metrics())
        opened = []
        for held, left in [(8 * MEBIBYTE, 0), *requests]:
            ours, _ = map(stack.enter_context, socket.socketpair())
            ours.setblocking(False)
            opened.append(connections.add(ours))
            opened[-1].left = left
            connections.hold(opened[-1], held)
        large = opened.pop(0)

        async def run() -> list[int]:
            waiting = [asyncio.create_task(connections.wait_for_room(one)) for one in opened]
            await asyncio.sleep(0)
            found = [number for number, task in enumerate(waiting) if task.done()]
            connections.release(large)
            await asyncio.gather(*waiting)
            return found

        assert asyncio.run(run()) == read


def test_who_lacks_the_least_is_read_next() -> None:
    """A review of 100 KiB does not wait for many clients that announced 3 MB before it and stopped."""
    with contextlib.ExitStack() as stack:
        connections = Connections(Limits(), Metrics())
        opened = []
        for left in (4 * MEBIBYTE, 3 * MEBIBYTE, 8192, 4096):
            ours, _ = map(stack.enter_context, socket.socketpair())
            ours.setblocking(False)
            opened.append(connections.add(ours))
            opened[-1].left = left
            connections.hold(opened[-1], 2 * MEBIBYTE)
        order: list[int] = []

        async def read(number: int) -> None:
            await connections.wait_for_room(opened[number])
            order.append(number)
            await asyncio.sleep(0.1)
            connections.begin_response(opened[number], 1)

        async def run() -> None:
            await asyncio.gather(*map(read, range(4)))

        asyncio.run(run())
        assert order == [0, 3, 2, 1]


@pytest.mark.parametrize("kib", [8, 50, 256])
def test_clients_that_stop_in_large_bodies_delay_nobody(usual: Server, kib: int) -> None:
    """A review that was sent at once is answered while 150 clients have sent more of their bodies than the server takes."""
    with dialled(usual, 150, HEAD + b"Content-Length: 3000000\r\n\r\n" + b" " * 160 * 1024):
        for _ in range(5):
            with dial(usual) as connection:
                head = f"Content-Length: {kib * 1024}\r\nConnection: close\r\n\r\n"
                connection.sendall(HEAD + head.encode() + b" " * kib * 1024)
                assert status(until_closed(connection)) == 400


def test_a_connection_that_has_ended_waits_for_nothing() -> None:
    """Its bytes are freed when its task goes on; until then, they count as freed, and no other connection is cut for them."""
    with contextlib.ExitStack() as stack:
        connections = Connections(Limits(bytes_in_flight=3 * MEBIBYTE), Metrics())
        opened = []
        for seconds in (3, 2, 1, 0):
            ours, theirs = map(stack.enter_context, socket.socketpair())
            ours.setblocking(False)
            theirs.setblocking(False)
            opened.append((connections.add(ours), theirs))
            opened[-1][0].enter(Phase.REQUEST)
            opened[-1][0].since -= seconds
            opened[-1][0].asked = opened[-1][0].since
            connections.hold(opened[-1][0], MEBIBYTE)

        async def run() -> list[bool]:
            reader, waiting = (asyncio.create_task(connections.wait_for_room(opened[number][0])) for number in (1, 3))
            await reader
            cut = [has_ended(theirs) for _, theirs in opened]
            opened[3][0].cut()
            await waiting
            return cut

        assert asyncio.run(run()) == [True, False, False, False]


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
