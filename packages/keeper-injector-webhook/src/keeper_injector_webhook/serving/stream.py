"""The bytes of one connection, for the one task that reads and writes them.

asyncio's own streams receive each part of a message as a new object. uvloop allocates 256 KiB for each of them under TLS, which the
kernel maps and unmaps for every request. Here, the event loop writes into memory that all connections share.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, cast

from keeper_injector_webhook.serving.connection import Connection, Phase
from keeper_injector_webhook.serving.connections import Connections

CHUNK = 64 * 1024
"""The most bytes that are received or sent at once."""
_MOST_UNREAD = 32 * 1024
"""Beyond so many bytes that were not read, no more are received."""
_FULL_CHUNK = 16 * 1024
"""The most bytes that are received at once if all connections hold as many as they may. No more are received before these are read."""


class ByteStream(asyncio.BufferedProtocol):
    """A stream whose bytes are counted as soon as they arrive, and not only when they are read."""

    def __init__(self, connections: Connections, connection: Connection, space: memoryview) -> None:
        """Receive into *space*. The event loop fills and empties it at one go, so that other streams can use it too."""
        self._connections = connections
        self._connection = connection
        self._space = space
        self._transport: asyncio.Transport | None = None
        self._unread = b""
        self._is_paused = False
        self._has_ended = False
        self._error: Exception | None = None
        self._lost = asyncio.get_running_loop().create_future()
        self._readable: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._is_full = False

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport, after the TLS handshake."""
        self._transport = transport = cast("asyncio.Transport", transport)
        # After each response, the server waits until the client has taken it, so that unread responses do not pile up.
        transport.set_write_buffer_limits(high=1, low=0)
        if self.get_extra_info("ssl_object") is not None:
            # While nothing is read, TLS would receive up to 256 KiB for each connection, and no limit counts them.
            cast("Any", transport).set_read_buffer_limits(high=1, low=0)

    def get_buffer(self, _sizehint: int) -> memoryview:
        """Return where to write what has arrived."""
        return self._space[:_FULL_CHUNK] if self._connections.is_full() else self._space

    def buffer_updated(self, nbytes: int) -> None:
        """Take what has arrived."""
        self._connection.receive()
        if self._connection.phase in {Phase.HANDSHAKE, Phase.IDLE}:
            self._connection.enter(Phase.REQUEST)
        self._connections.hold(self._connection, nbytes)
        self._unread += self._space[:nbytes]
        most = 0 if self._connections.is_full() else _MOST_UNREAD
        if len(self._unread) > most and not self._is_paused and self._transport is not None:
            self._transport.pause_reading()
            self._is_paused = True
        _wake(self._readable)

    def eof_received(self) -> bool:
        """Note that the client sends no more. Return whether it may still be answered, which TLS does not allow."""
        self._has_ended = True
        _wake(self._readable)
        return self.get_extra_info("ssl_object") is None

    def connection_lost(self, exc: Exception | None) -> None:
        """End all waiting."""
        self._has_ended = self._connection.has_ended = True
        self._error = exc
        for waiter in (self._readable, self._writable, self._lost):
            _wake(waiter)
        # uvloop's transport keeps references to this object. Without the cycle, all of it is freed now.
        self._transport = None

    def pause_writing(self) -> None:
        """Note that the client takes nothing at the moment."""
        self._is_full = True

    def resume_writing(self) -> None:
        """Note that the client has taken everything."""
        self._is_full = False
        _wake(self._writable)

    # What the task calls.

    def get_extra_info(self, name: str) -> Any:
        """Return what the transport knows about the connection, such as ``peername``."""
        return None if self._transport is None else self._transport.get_extra_info(name)

    async def read(self) -> bytes:
        """Return what has arrived, empty at the end. Raises OSError if the connection is broken.

        While it is not called, the event loop receives little more: one buffer of the socket, which TLS keeps encrypted.
        """
        if not self._unread and not self._has_ended:
            self._readable = asyncio.get_running_loop().create_future()
            if self._is_paused and self._transport is not None:
                self._is_paused = False
                self._transport.resume_reading()
            # After what TLS already has, which the event loop passes on first.
            asyncio.get_running_loop().call_soon(self._ask)
            try:
                await self._readable
            finally:
                self._readable = self._connection.asked = None
        if self._error is not None:
            raise self._error
        data, self._unread = self._unread, b""
        return data

    def _ask(self) -> None:
        if self._readable is not None and not self._readable.done():
            self._connection.asked = time.monotonic()

    def write(self, data: bytes) -> None:
        """Send bytes, without waiting for anything."""
        if self._transport is not None:
            self._transport.write(data)

    async def drain(self) -> None:
        """Wait until the client has taken what was written. Raises OSError if the connection is broken."""
        if self._error is not None:
            raise self._error
        if self._transport is not None and self._transport.is_closing():
            await asyncio.sleep(0)  # the event loop has not called connection_lost yet
        if self._is_full and self._transport is not None:
            self._writable = asyncio.get_running_loop().create_future()
            try:
                await self._writable
            finally:
                self._writable = None
        if self._transport is None:
            raise ConnectionResetError("the connection is closed")

    def abort(self) -> None:
        """End the connection at once, with what was not sent yet."""
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """End the connection after what was written is sent."""
        if self._transport is not None:
            self._transport.close()

    async def wait_closed(self) -> None:
        """Wait until the connection has ended. Raises OSError if it was broken."""
        await self._lost
        if self._error is not None:
            raise self._error


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
