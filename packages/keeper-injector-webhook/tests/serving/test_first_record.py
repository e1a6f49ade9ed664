"""No TLS state is allocated for a client before its first record has arrived whole."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import select
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper_injector_webhook.serving.connection import Connection
from keeper_injector_webhook.serving.first_record import wait_for_first_record


def client_hello() -> bytes:
    """Return what a client of Python's ssl sends first."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


HELLO = client_hello()
MOST = b"\x16\x03\x01\x40\x00" + b"x" * 16384
AT_ONCE = {
    "a request without TLS": b"GET",
    "an alert": b"\x15",
    "a record that is too large": b"\x16\x03\x01\x40\x01",
    "an empty record": b"\x16\x03\x01\x00\x00",
    "more than a record": HELLO + b"\x17",
}
"""What is complete, or can be no ClientHello: TLS must see it, and answer."""


@contextmanager
def connected() -> Iterator[tuple[Connection, socket.socket]]:
    """Yield a connection over TCP and the client's end of it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * 1024)
        with socket.create_connection(server.getsockname()) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            ours, _ = server.accept()
            with ours:
                ours.setblocking(False)
                yield Connection(ours, 0.0), client


@pytest.mark.parametrize("name", AT_ONCE)
def test_it_goes_on_with_what_can_be_no_client_hello(name: str) -> None:
    """TLS answers these with an alert. They must not wait for the deadline of the handshake."""

    async def run() -> None:
        with connected() as (connection, client):
            client.sendall(AT_ONCE[name])
            await asyncio.wait_for(wait_for_first_record(connection), 10)
            assert connection.sock.recv(65536) == AT_ONCE[name]

    uvloop.run(run())


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([HELLO, MOST, HELLO + b"more"]), st.lists(st.integers(0, 20_000), max_size=4), st.booleans())
def test_a_record_in_pieces(data: bytes, cuts: list[int], is_ended: bool) -> None:
    """It waits for the whole record, however it arrives, or for the end. Nothing is read, and TLS then waits for single bytes."""
    size = 5 + int.from_bytes(data[3:5])
    edges = sorted({0, *(cut for cut in cuts if cut < size)})

    async def run() -> None:
        with connected() as (connection, client):
            waiting = asyncio.create_task(wait_for_first_record(connection))
            for start, end in itertools.pairwise(edges):
                client.sendall(data[start:end])
                await asyncio.sleep(0)
                assert not waiting.done()
            if is_ended:
                client.shutdown(socket.SHUT_WR)
                expected = data[: edges[-1]]
            else:
                client.sendall(data[edges[-1] :])
                expected = data
            await asyncio.wait_for(waiting, 10)
            found = b""
            while len(found) < len(expected):
                with contextlib.suppress(BlockingIOError):
                    found += connection.sock.recv(65536)
                await asyncio.sleep(0)
            assert found == expected
            assert connection.sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT) == 1
            assert connection.awaits == 1

    uvloop.run(run())


PARTS = {"nothing": b"", "a byte": b"\x16", "a header": HELLO[:5], "all but a byte": HELLO[:-1]}


@pytest.mark.parametrize("name", PARTS)
def test_a_part_of_a_record_wakes_nobody(name: str) -> None:
    """The kernel does not report the part again and again. If the server stops, the event loop forgets the socket."""

    async def run() -> None:
        with connected() as (connection, client):
            client.sendall(PARTS[name])
            waiting = asyncio.create_task(wait_for_first_record(connection))
            while connection.awaits < (len(HELLO) if len(PARTS[name]) >= 5 else 5):  # noqa: ASYNC110 - nothing else tells
                await asyncio.sleep(0)
            assert select.select([connection.sock], [], [], 0) == ([], [], [])
            waiting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await waiting
            await asyncio.get_running_loop().connect_accepted_socket(asyncio.Protocol, connection.sock)

    uvloop.run(run())
