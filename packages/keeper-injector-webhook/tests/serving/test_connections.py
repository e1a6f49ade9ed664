"""Who reads and who makes room: the rules of :class:`Connections`, without a server."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time

import pytest

from keeper_injector_webhook.metrics import Metrics
from keeper_injector_webhook.serving.connection import Connection, Phase
from keeper_injector_webhook.serving.connections import Connections
from keeper_injector_webhook.serving.limits import Limits

MEBIBYTE = 1024 * 1024


def opened_by(stack: contextlib.ExitStack, connections: Connections) -> tuple[Connection, socket.socket]:
    """Add a connection, and return it with the client's end."""
    ours, theirs = map(stack.enter_context, socket.socketpair())
    ours.setblocking(False)
    theirs.setblocking(False)
    return connections.add(ours), theirs


def has_ended(connection: socket.socket) -> bool:
    """Return whether the other side has ended the connection."""
    try:
        return not connection.recv(1)
    except BlockingIOError:
        return False


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
            connection, theirs = opened_by(stack, connections)
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
            connection, theirs = opened_by(stack, connections)
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
            connection, theirs = opened_by(stack, connections)
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
            opened.append(opened_by(stack, connections)[0])
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
            opened.append(opened_by(stack, connections)[0])
            opened[-1].left = left
            connections.hold(opened[-1], 2 * MEBIBYTE)
        order: list[int] = []
        all_wait = asyncio.Event()

        async def read(number: int) -> None:
            await connections.wait_for_room(opened[number])
            order.append(number)
            await all_wait.wait()
            connections.begin_response(opened[number], 1)

        async def run() -> None:
            reading = asyncio.gather(*map(read, range(4)))
            await asyncio.sleep(0)
            all_wait.set()
            await reading

        asyncio.run(run())
        assert order == [0, 3, 2, 1]


def test_a_connection_that_has_ended_waits_for_nothing() -> None:
    """Its bytes are freed when its task goes on; until then, they count as freed, and no other connection is cut for them."""
    with contextlib.ExitStack() as stack:
        connections = Connections(Limits(bytes_in_flight=3 * MEBIBYTE), Metrics())
        opened = []
        for seconds in (3, 2, 1, 0):
            opened.append(opened_by(stack, connections))
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
