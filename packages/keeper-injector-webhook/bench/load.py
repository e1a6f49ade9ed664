"""Requests to webhooks as an API server sends them: HTTP/1.1 over TLS, kept alive, retried only where Go retries."""

from __future__ import annotations

import asyncio
import gc
import itertools
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import attrs

SLEEP_LESS = 0.002
BETWEEN_COLLECTIONS = 50
NEW_AT = 85.0
"""Seconds after which an idle connection is not reused; Go's transport closes them after 90."""


class LostError(Exception):
    """The connection was closed before the first byte of the response."""


@attrs.define
class Connection:
    """One connection, and whether it has carried a request before."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    used: bool = False
    closing: bool = False

    async def request(self, head: bytes, body: bytes) -> tuple[int, bytes]:
        """Send one request and return status and body. Raises :class:`LostError` or OSError."""
        try:
            self.writer.write(head + body)
            await self.writer.drain()
            answer = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError) as error:
            raise LostError(type(error).__name__) from None
        lines = answer.lower().split(b"\r\n")
        length = next((int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:")), None)
        self.used = True
        self.closing = b"connection: close" in lines
        content = await (self._chunks() if length is None else self.reader.readexactly(length))
        return int(lines[0].split()[1]), content

    async def _chunks(self) -> bytes:
        """Read a body in chunks (RFC 9112, section 7.1), as Go's server sends one of more than 2 KiB."""
        content = b""
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            content += (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readexactly(2)
        return content

    def close(self) -> None:
        """Close the connection."""
        self.writer.transport.abort()


@attrs.define
class Client:
    """One of an API server's workers with its connection to one of the ready endpoints."""

    context: ssl.SSLContext
    endpoint: Callable[[], int]
    """Chooses the port for a new connection, as the Service's rules do."""
    connection: Connection | None = None

    async def post(self, body: bytes) -> tuple[int, bytes]:
        """Send one review; a reused connection that the server has just closed is replaced once, as Go's transport does."""
        head = (
            f"POST /mutate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode()
        while True:
            connection = self.connection or await self._connect()
            used = connection.used
            try:
                answer = await connection.request(head, body)
            except LostError:
                self.drop()
                if not used:
                    raise
                continue
            if connection.closing:
                self.drop()
            return answer

    async def _connect(self) -> Connection:
        port = self.endpoint()
        streams = await asyncio.open_connection("127.0.0.1", port, ssl=self.context, server_hostname="localhost")
        self.connection = Connection(*streams)
        return self.connection

    def drop(self) -> None:
        """Close the connection."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None


async def closed_loop(
    context: ssl.SSLContext, port: int, body: bytes, *, clients: int, requests: int, varied: bytes = b""
) -> float:
    """Let *clients* send one request after the other; return requests per second.

    The first *varied* in the body is replaced by another number each time, so that no two requests are identical.
    """
    numbers = itertools.count()
    workers = [Client(context, lambda: port) for _ in range(clients)]

    async def work(client: Client) -> None:
        for _ in range(requests // clients):
            content = body
            if varied:
                content = body.replace(varied, str(next(numbers)).zfill(len(varied)).encode(), 1)
            status, _ = await client.post(content)
            if status != 200:
                raise RuntimeError(f"HTTP {status}")

    await asyncio.gather(*(worker.post(body) for worker in workers))
    started = time.perf_counter()
    await asyncio.gather(*map(work, workers))
    seconds = time.perf_counter() - started
    for worker in workers:
        worker.drop()
    return requests / seconds


async def open_loop(context: ssl.SSLContext, port: int, body: bytes, *, rate: float, seconds: float) -> list[float]:
    """Send *rate* requests a second, however long answers take; return sorted latencies since each was due, in seconds.

    Timers of event loops are a millisecond late, so the last milliseconds before a request is due are waited for without one.
    """
    idle: list[Client] = [Client(context, lambda: port) for _ in range(32)]
    await asyncio.gather(*(client.post(body) for client in idle))
    latencies: list[float] = []
    started = time.perf_counter() + 0.1

    async def one(due: float) -> None:
        client = idle.pop() if idle else Client(context, lambda: port)
        await client.post(body)
        latencies.append(time.perf_counter() - due)
        idle.append(client)

    tasks = []
    with uncollected():
        for number in range(int(rate * seconds)):
            due = started + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter() - SLEEP_LESS))
            while time.perf_counter() < due:  # noqa: ASYNC110 - nothing else happens at that time
                await asyncio.sleep(0)
            tasks.append(asyncio.create_task(one(due)))
        await asyncio.gather(*tasks)
    for client in idle:
        client.drop()
    return sorted(latencies)


async def stampede(context: ssl.SSLContext, port: int, body: bytes, count: int) -> float:
    """Open *count* connections at once with a request each; return the seconds until all are answered."""
    clients = [Client(context, lambda: port) for _ in range(count)]
    started = time.perf_counter()
    await asyncio.gather(*(client.post(body) for client in clients))
    seconds = time.perf_counter() - started
    for client in clients:
        client.drop()
    return seconds


async def new_connections(context: ssl.SSLContext, port: int, body: bytes, count: int) -> list[float]:
    """Send *count* reviews one after the other, each on a new connection; return sorted seconds, with the handshake."""
    latencies = []
    for first in range(0, count, BETWEEN_COLLECTIONS):
        with uncollected():
            for _ in range(first, min(first + BETWEEN_COLLECTIONS, count)):
                client = Client(context, lambda: port)
                started = time.perf_counter()
                await client.post(body)
                latencies.append(time.perf_counter() - started)
                client.drop()
    return sorted(latencies)


@contextmanager
def uncollected() -> Iterator[None]:
    """Collect garbage before and not during the block: this program's own collections would be part of the figures."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
