"""What the server keeps in memory for its clients: large messages, responses that nobody reads, and memory that was freed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from admission_reviews import body, pod
from tls_clients import HEAD, dial, dialled, is_answered, peak, series, status, until_closed
from webhook_server import Server, free_port, limited, wait_for

from keeper_injector_webhook.serving.memory import find_trim, return_freed_memory_forever

KIBIBYTE = 1024
MEBIBYTE = 1024 * KIBIBYTE


@pytest.fixture(name="usual")
def _usual(tmp_path: Path) -> Iterator[Server]:
    yield from limited(tmp_path, free_port())


def request(size: int) -> bytes:
    """Return a request with a review of *size* bytes."""
    content = body(pod(annotations={"inject": "true", "secret": "db"})).ljust(size)
    return HEAD + f"Content-Length: {len(content)}\r\n\r\n".encode() + content


def large_answer() -> bytes:
    """Return a request with a legal review of less than 64 KiB whose answer has more than 512 KiB."""
    containers = [{"name": f"c{number}", "image": "app:1"} for number in range(18)]
    secrets = {f"secret-{number}": f"/app/{number:0>240}/x" for number in range(100)}
    content = body(pod(annotations={"inject": "true", **secrets}, containers=containers))
    assert len(content) < 64 * KIBIBYTE
    return HEAD + f"Content-Length: {len(content)}\r\n\r\n".encode() + content


def is_kept(server: Server, sent: bytes) -> bool:
    """Send a request; return whether another one on the same connection is answered."""
    with dial(server) as connection:
        connection.sendall(sent + b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = until_closed(connection)
        assert status(answer) == 200
        kept = answer.endswith(b"\r\n\r\nok\n")
        assert kept == (b"connection: close" not in answer.lower().partition(b"\r\n\r\n")[0])
        return kept


def test_a_large_request_is_the_last_of_its_connection(usual: Server) -> None:
    """Up to the limit, a connection is kept; after a larger request, the server announces its end and closes it."""
    assert is_kept(usual, request(32 * KIBIBYTE))
    assert not is_kept(usual, request(32 * KIBIBYTE + 1))


def test_a_large_response_is_the_last_of_its_connection(usual: Server) -> None:
    """The client gets all of it, and must open another connection."""
    assert not is_kept(usual, large_answer())
    with dial(usual) as connection:
        connection.sendall(large_answer())
        assert len(until_closed(connection)) > 512 * KIBIBYTE


def test_responses_that_nobody_reads(usual: Server) -> None:
    """Clients that ask for large answers and read none lose their connections; others are answered, and memory is bounded."""
    with dialled(usual, 60, large_answer()):
        wait_for(lambda: series(usual, 'keeper_injector_connections_cut_total{reason="bytes"}') > 20, 30)
        assert is_answered(usual)
    assert peak(usual) < 128


def test_large_reviews_on_connections_that_stay(usual: Server) -> None:
    """Connections that carried large reviews do not keep buffers of that size."""
    with dialled(usual, 100, request(900 * KIBIBYTE)):
        assert is_answered(usual)
    assert peak(usual) < 128


def test_handshakes_that_stop_again_and_again(usual: Server) -> None:
    """Connections that never complete a handshake hold what their handshakes take, however many there were before them."""
    begun = peak(usual)
    for _ in range(6):
        with contextlib.ExitStack() as stack:
            for _ in range(1000):
                raw = stack.enter_context(socket.create_connection(("127.0.0.1", usual.port), timeout=20))
                raw.sendall(b"\x16\x03\x01\x02\x00")
            assert is_answered(usual)
    assert peak(usual) - begun < 16


def test_freed_memory_is_returned() -> None:
    """What is freed between allocations that stay does not stay resident."""
    if find_trim() is None:
        pytest.skip("only glibc can return memory that is not at the end of its heap")
    blocks = [b"x" * 20_000 + bytes([number % 256]) for number in range(4000)]
    full = resident()
    blocks = blocks[::100] + blocks[-1:]
    asyncio.run(returned(full - 50 * MEBIBYTE))
    assert len(blocks) == 41


async def returned(most: int) -> None:
    """Return freed memory until no more than *most* bytes are resident; fail after 10 seconds."""
    returning = asyncio.create_task(return_freed_memory_forever(0.01))
    async with asyncio.timeout(10):
        while resident() > most:  # noqa: ASYNC110 - the kernel sends no event
            await asyncio.sleep(0.01)
    returning.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await returning


def resident() -> int:
    """Return the resident memory of this process in bytes."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
