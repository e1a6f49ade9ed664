"""Simulates the requests of thousands of agents behind a relay, in one process.

Each agent has one connection that stays open, and asks for the head every 15 seconds, as the supervisor does. When the head names
another index, it fetches the index and one record, as a worker does that needs a record by UID.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from keeper_injector_agent.snapshot.content import Index
from keeper_injector_agent.snapshot.names import HEAD_NAME, index_name, record_name

POLL = 15.0
START_SECONDS = 10.0
PATIENCE = 10.0


class Connection(asyncio.Protocol):
    """One connection of an agent to the relay."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._answer = b""
        self._waiting: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the transport."""
        self.transport = transport  # type: ignore[assignment] # a stream

    def data_received(self, data: bytes) -> None:
        """Collect an answer, and hand it over when it is complete."""
        self._answer += data
        head, end, body = self._answer.partition(b"\r\n\r\n")
        if not end or not self._waiting:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r")[0])
        if len(body) >= length:
            waiting, self._waiting, self._answer = self._waiting, None, b""
            if head.startswith(b"HTTP/1.1 200"):
                waiting.set_result(body)
            else:
                waiting.set_exception(OSError(head[:20].decode()))

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the request that is waiting fail."""
        self.transport = None
        if self._waiting and not self._waiting.done():
            self._waiting.set_exception(OSError("connection lost"))

    async def get(self, path: str) -> bytes:
        """Return a file; raises OSError."""
        if self.transport is None:
            raise OSError("not connected")
        self._waiting = asyncio.get_running_loop().create_future()
        self.transport.write(f"GET {path} HTTP/1.1\r\nHost: relay\r\n\r\n".encode())
        return await asyncio.wait_for(self._waiting, PATIENCE)


class Fleet:
    """All simulated agents, and what they saw."""

    def __init__(self, ports: Sequence[int], application: str, uid: str) -> None:
        self._ports = ports
        self._path = f"/v1/{application}/"
        self._uid = uid
        self.seen: dict[str, list[float]] = {}
        """When each agent had the record of an index, by the digest of the index (:func:`time.monotonic`)."""
        self.starts: list[float] = []
        self.errors = 0

    async def poll(self, number: int, until: float) -> None:
        """Ask until *until*, as the supervisor of one agent."""
        known, connection = "", None
        await asyncio.sleep(POLL * random.random())  # noqa: S311 - spreads requests
        while time.monotonic() < until:
            try:
                connection = connection or await self._connect(number)
                known = await self._ask(connection, known)
            except (OSError, TimeoutError):
                self.errors += 1
                connection = None
            await asyncio.sleep(POLL * random.uniform(0.9, 1.1))  # noqa: S311 - as above

    async def start(self, number: int) -> None:
        """Fetch once, as an init container does, at a random time in the first seconds."""
        await asyncio.sleep(START_SECONDS * random.random())  # noqa: S311 - as above
        began = time.monotonic()
        try:
            connection = await self._connect(number)
            await self._ask(connection, "")
            if connection.transport:
                connection.transport.close()
        except (OSError, TimeoutError):
            self.errors += 1
        self.starts.append(time.monotonic() - began)

    async def _connect(self, number: int) -> Connection:
        loop = asyncio.get_running_loop()
        connect = loop.create_connection(Connection, "127.0.0.1", self._ports[number % len(self._ports)])
        return (await asyncio.wait_for(connect, PATIENCE))[1]

    async def _ask(self, connection: Connection, known: str) -> str:
        head = json.loads(await connection.get(f"{self._path}{HEAD_NAME}"))
        digest: str = head["index"]
        if digest != known:
            index = Index(await connection.get(f"{self._path}{index_name(digest)}"))
            for part in index.parts([self._uid]):
                await connection.get(f"{self._path}{record_name(part)}")
            self.seen.setdefault(digest, []).append(time.monotonic())
        return digest


async def simulate(fleet: Fleet, agents: int, starting: int, seconds: float) -> None:
    """Run *agents* for *seconds*, and let *starting* more start in the last third of that time."""
    until = time.monotonic() + seconds

    async def start_later() -> None:
        await asyncio.sleep(seconds * 2 / 3)
        await asyncio.gather(*(fleet.start(number) for number in range(starting)))

    await asyncio.gather(start_later(), *(fleet.poll(number, until) for number in range(agents)))


def main(arguments: Sequence[str]) -> None:
    """Simulate ``AGENTS STARTING SECONDS APPLICATION UID OUTPUT PORT…``, and write what was seen as JSON."""
    agents, starting, seconds, application, uid, output, *ports = arguments
    fleet = Fleet([int(port) for port in ports], application, uid)
    asyncio.run(simulate(fleet, int(agents), int(starting), float(seconds)))
    found = {"seen": fleet.seen, "starts": fleet.starts, "errors": fleet.errors}
    Path(output).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
