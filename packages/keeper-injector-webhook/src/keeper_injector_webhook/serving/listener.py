"""Accepts connections: it makes the TLS handshake, and hands each connection to its protocol.

The event loop's own server would accept without a limit, and tells nobody of a connection before its handshake is complete.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING, Any

import attrs

from keeper_injector_webhook.serving.connection import Connection, Phase, log_lost
from keeper_injector_webhook.serving.connections import Connections
from keeper_injector_webhook.serving.first_record import wait_for_first_record
from keeper_injector_webhook.serving.http1 import Http1Server, serve_http1
from keeper_injector_webhook.serving.memory import Returns
from keeper_injector_webhook.serving.stream import ByteStream

if TYPE_CHECKING:
    import ssl
    from collections.abc import Coroutine

log = logging.getLogger(__name__)
_BACKLOG = 1024
_AT_ONCE = 16
"""Connections that are accepted before the event loop goes on with its other work."""
_SHUTDOWN = 1.0
"""Seconds for the end of a TLS connection."""


@attrs.define(eq=False)
class Listener:
    """One listening socket with its connections."""

    host: str
    port: int
    server: Http1Server
    tls: ssl.SSLContext | None
    memory: Returns = attrs.field(factory=Returns)
    _socket: socket.socket = attrs.field(init=False)
    _paused: bool = attrs.field(init=False, default=True)
    _ended: bool = attrs.field(init=False, default=False)
    _tasks: set[asyncio.Task[None]] = attrs.field(init=False, factory=set)

    @property
    def connections(self) -> Connections:
        """The open connections."""
        return self.server.connections

    def start(self) -> None:
        """Listen. Raises OSError if the address cannot be used."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Set before it listens, so that accepted connections inherit it.
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            self._socket.setsockopt(socket.SOL_SOCKET, option, self.connections.limits.socket_buffer)
        self._socket.bind((self.host, self.port))
        self._socket.listen(_BACKLOG)
        self._socket.setblocking(False)
        self.connections.on_release = self._resume
        self._spawn(self.connections.sweep_forever())
        self._resume()

    async def stop(self, grace: float) -> bool:
        """Stop listening and end all connections; return whether every request was answered within *grace* seconds."""
        self._pause()
        self._ended = True
        self._socket.close()
        finished = await self.connections.finish(grace)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        return finished

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            if not self.connections.has_room():
                self._wait()
                return
            try:
                sock, _ = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                log.warning("connection.refused", extra={"cause": str(error)})
                self._wait()
                return
            sock.setblocking(False)
            self._spawn(self._serve(self.connections.add(sock)))

    def _wait(self) -> None:
        self._pause()
        asyncio.get_running_loop().call_later(self.connections.limits.patience_seconds / 10, self._resume)

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            asyncio.get_running_loop().remove_reader(self._socket)

    def _resume(self) -> None:
        if self._paused and not self._ended:
            self._paused = False
            asyncio.get_running_loop().add_reader(self._socket, self._accept)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        stream = ByteStream(self.connections, connection, self.server.space)
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if self.tls:
                await wait_for_first_record(connection)
            await loop.connect_accepted_socket(
                lambda: stream,
                connection.sock,
                ssl=self.tls,
                ssl_handshake_timeout=self.connections.limits.handshake_seconds if self.tls else None,
                ssl_shutdown_timeout=_SHUTDOWN if self.tls else None,
            )
            if connection.phase is Phase.HANDSHAKE:
                connection.enter(Phase.IDLE)
            await serve_http1(self.server, connection, stream)
            await stream.wait_closed()
        except OSError as error:
            log_lost(error)
        finally:
            connection.sock.close()
            self.connections.remove(connection)
            if not connection.requests:
                self.memory.unused_connection_ended()
