"""The open connections of one listener: how many there are, what each of them waits for, and which one makes room for another.

A server that is full takes a connection from a client that keeps it waiting. A client that sends a review at once and reads the
response does not wait for clients that do neither.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
import socket
import time
from collections import Counter
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from keeper_injector_webhook.metrics import Metrics
    from keeper_injector_webhook.serving.limits import Limits

log = logging.getLogger(__name__)
_SWEEP = 0.25
"""Seconds between checks of the deadlines."""
_CLOSING = 2.0
"""Seconds in which a client must answer the end of its TLS connection."""
_MORE_PATIENCE = 4
"""How much longer a client may keep a full server waiting if most others do something else."""
_AT_ONCE = 16
"""Connections that are cut at once for new ones, so that a full server accepts in groups."""


class Phase(enum.Enum):
    """What a connection does; each phase has a deadline."""

    HANDSHAKE = enum.auto()
    IDLE = enum.auto()
    REQUEST = enum.auto()
    """From the first byte of a request to the last byte of its response."""
    CLOSING = enum.auto()


@attrs.define(eq=False)
class Connection:
    """One client's connection."""

    sock: socket.socket
    since: float
    """When its phase began (:func:`time.monotonic`)."""
    phase: Phase = Phase.HANDSHAKE
    requests: int = 0
    """Requests that were answered."""
    held: int = 0
    """Bytes of its request and response that the server keeps in memory."""
    arrived: int = 0
    """Bytes that have arrived and that its task has not read yet."""
    awaits: int = 1
    """Bytes that must have arrived before the server reads any."""
    has_ended: bool = False
    """Whether one side has ended it; its task may not have noticed yet."""
    expired: Callable[[], None] | None = None
    """Called at the deadline of a request, to answer the client; the connection is cut a moment later."""

    abort: Callable[[], None] | None = None
    """Ends the connection at once, with what was not sent yet."""

    def enter(self, phase: Phase) -> None:
        """Begin a phase."""
        self.phase = phase
        self.since = time.monotonic()

    def cut(self) -> None:
        """End the connection without another word. Its task sees the end of the stream when it reads."""
        self.has_ended = True
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)

    def keeps_waiting(self) -> bool:
        """Return whether the server waits for the client to send more."""
        if self.arrived:
            return False
        try:
            return len(self.sock.recv(self.awaits, socket.MSG_PEEK)) < self.awaits
        except BlockingIOError:
            return True
        except OSError:
            return True


def log_lost(error: OSError) -> None:
    """Log that a connection ended early, and take the traceback from the error.

    The stream keeps the error that it raises, and the traceback would keep the stream in turn, with its TLS state, until the next
    garbage collection: hundreds of connections that had ended held 100 MiB.
    """
    log.debug("connection.lost", extra={"cause": type(error).__name__})
    error.__traceback__ = None


@attrs.define(eq=False)
class Connections:
    """The connections of one listener, in the order in which they were accepted."""

    limits: Limits
    metrics: Metrics
    on_release: Callable[[], None] = lambda: None
    """Called whenever a connection has ended."""
    held: int = 0
    """Bytes that all connections hold."""
    unread: int = 0
    """Bytes of the responses that clients have not taken yet."""
    _all: dict[Connection, None] = attrs.field(factory=dict)
    _waiting: dict[Connection, None] = attrs.field(factory=dict)
    """Those that wait for room."""
    _reader: Connection | None = None
    """The one whose large request is read although there is no room."""
    _next_cut: float = 0.0
    """When to search again for connections to cut (:func:`time.monotonic`)."""
    _responses: dict[Connection, int] = attrs.field(factory=dict)
    """The size of each unread response, the oldest first."""

    def __len__(self) -> int:
        return len(self._all)

    def add(self, sock: socket.socket) -> Connection:
        """Register a connection that was just accepted."""
        connection = Connection(sock, time.monotonic())
        self._all[connection] = None
        return connection

    def remove(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        self.release(connection)
        self.response_taken(connection)
        self._done_reading(connection)
        self._all.pop(connection, None)
        self.on_release()

    def has_room(self) -> bool:
        """Return whether another connection may be accepted; if not, cut those that keep the server waiting."""
        if len(self._all) < self.limits.connections:
            return True
        # Clients that never sent a whole request make room first, as long as there is one: a client that sent reviews and keeps
        # its connection, as API servers do, does not lose it to connections that were opened for nothing.
        unproven = [one for one in self._all if not one.requests]
        # What most of them do is what fills the server: clients that are slow at something else may take longer.
        doing = Counter(one.phase for one in unproven or self._all)
        filling = max(doing, key=lambda phase: doing[phase])
        late = time.monotonic() - _MORE_PATIENCE * self.limits.patience_seconds
        waiting = [
            one
            for one in self._stalled()
            if not (unproven and one.requests) and (one.phase is filling or one.since < late)
        ]
        waiting.sort(key=lambda one: (one.phase is not filling, one.since))
        for connection in waiting[: _AT_ONCE if unproven else 1]:
            self._cut(connection, "connections")
        return False

    def hold(self, connection: Connection, size: int) -> None:
        """Count bytes that the server keeps in memory for a connection."""
        connection.held += size
        self.held += size

    def release(self, connection: Connection) -> None:
        """Stop counting the bytes of a connection."""
        self.held -= connection.held
        connection.held = 0

    def begin_response(self, connection: Connection, size: int) -> None:
        """Count a response of *size* bytes as unread; if too many bytes are, end the connections that have read for longest."""
        self._done_reading(connection)
        self._responses[connection] = size
        self.unread += size
        while self.unread > self.limits.unread_bytes and len(self._responses) > 1:
            oldest = next(iter(self._responses))
            self.response_taken(oldest)
            self.metrics.connection_cut("bytes")
            if oldest.abort is not None:
                oldest.abort()

    def response_taken(self, connection: Connection) -> None:
        """Stop counting the response of a connection."""
        self.unread -= self._responses.pop(connection, 0)

    async def wait_for_room(self, connection: Connection) -> None:
        """Wait until *connection* may read more: its request is small, there is room, or no large request that waits is older."""
        pause = self.limits.patience_seconds / 10
        self._waiting[connection] = None
        try:
            while self.is_full() and connection.held > self.limits.small_bytes and not connection.has_ended:
                now = time.monotonic()
                if now >= self._next_cut:
                    # Not each time: hundreds may wait, and each would check all others.
                    self._next_cut = now + pause
                    self._cut_stalled()
                if self._next_reader() is connection:
                    break
                await asyncio.sleep(pause)
        finally:
            del self._waiting[connection]

    def _next_reader(self) -> Connection:
        """Return the large request that is read although there is no room: one at a time, until its response begins."""
        if self._reader is None or self._reader.held <= self.limits.small_bytes:
            self._reader = min(self._waiting, key=lambda one: (one.held <= self.limits.small_bytes, one.since))
        return self._reader

    def _done_reading(self, connection: Connection) -> None:
        if self._reader is connection:
            self._reader = None

    def _cut_stalled(self) -> None:
        """Make room: cut connections that keep the server waiting, those that hold the most first."""
        excess = self.held - self.limits.bytes_in_flight - sum(one.held for one in self._all if one.has_ended)
        # A small review that is late on a busy machine makes hardly any room.
        for connection in sorted(self._stalled(), key=lambda one: -one.held):
            if excess <= 0 or not connection.held:
                break
            excess -= connection.held
            self._cut(connection, "bytes")

    def is_full(self) -> bool:
        """Return whether requests and responses hold as many bytes as they may."""
        return self.held > self.limits.bytes_in_flight

    def _stalled(self) -> Iterator[Connection]:
        before = time.monotonic() - self.limits.patience_seconds
        return (one for one in list(self._all) if one.since < before and not one.has_ended and one.keeps_waiting())

    async def sweep_forever(self) -> None:
        """End connections at their deadlines."""
        limits = self.limits
        seconds = {
            Phase.HANDSHAKE: limits.handshake_seconds,
            Phase.IDLE: limits.idle_seconds,
            Phase.REQUEST: limits.request_seconds,
            Phase.CLOSING: _CLOSING,
        }
        while True:
            await asyncio.sleep(_SWEEP)
            now = time.monotonic()
            for connection in [one for one in self._all if now - one.since > seconds[one.phase]]:
                if connection.phase is Phase.HANDSHAKE and not connection.keeps_waiting():
                    continue  # The server is late, not the client.
                if connection.phase is Phase.REQUEST and connection.expired is not None:
                    connection.expired()
                    connection.has_ended = True
                    connection.enter(Phase.CLOSING)
                    self.metrics.connection_cut("request")
                else:
                    self._cut(connection, connection.phase.name.lower())

    def _cut(self, connection: Connection, reason: str) -> None:
        self.metrics.connection_cut(reason)
        connection.cut()

    async def finish(self, seconds: float) -> bool:
        """End idle connections, and all others after *seconds*. Return whether all requests were answered by then."""
        until = time.monotonic() + seconds
        while self._all and time.monotonic() < until:
            for connection in list(self._all):
                if connection.phase is not Phase.REQUEST:
                    connection.cut()
            await asyncio.sleep(_SWEEP / 10)
        for connection in list(self._all):
            connection.cut()
        return not self._all
