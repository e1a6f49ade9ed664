"""The open connections of one listener: how many there are, what each of them waits for, and which one makes room for another.

A server that is full takes a connection from a client that keeps it waiting. A client that sends a review at once and reads the
response does not wait for clients that do neither.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import Counter
from typing import TYPE_CHECKING

import attrs

from keeper_injector_webhook.serving.connection import Connection, Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from keeper_injector_webhook.metrics import Metrics
    from keeper_injector_webhook.serving.limits import Limits

_SWEEP = 0.25
"""Seconds between checks of the deadlines."""
_CLOSING = 2.0
"""Seconds in which a client must answer the end of its TLS connection."""
_MORE_PATIENCE = 4
"""How much longer a client may keep a full server waiting if most others do something else."""
_AT_ONCE = 16
"""Connections that are cut at once for new ones, so that a full server accepts in groups."""


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
    _queue: dict[Connection, None] = attrs.field(factory=dict)
    """Those that wait for room."""
    _readers: dict[Connection, None] = attrs.field(factory=dict)
    """Those whose large requests are read although there is no room, until their responses begin."""
    _next_cut: float = 0.0
    """When to search again for connections to cut (:func:`time.monotonic`)."""
    _responses: dict[Connection, tuple[int, float]] = attrs.field(factory=dict)
    """The size of each unread response and when it began, the oldest first."""

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
        self._readers.pop(connection, None)
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
            for one in self._stalled(queued=True)
            if not (unproven and one.requests) and (one.phase is filling or one.since < late)
        ]
        waiting.sort(key=lambda one: (one.phase is not filling, -one.left, one.since))
        for connection in waiting[: _AT_ONCE if unproven else 1]:
            self._cut(connection, "connections")
        return False

    def hold(self, connection: Connection, size: int) -> None:
        """Count bytes that the server keeps in memory for a connection."""
        connection.held += size
        self.held += size

    def release(self, connection: Connection, size: int | None = None) -> None:
        """Stop counting *size* bytes of a connection, or all."""
        freed = connection.held if size is None else min(size, connection.held)
        connection.held -= freed
        self.held -= freed

    def begin_response(self, connection: Connection, size: int) -> None:
        """Count a response of *size* bytes as unread; if too many bytes are, end the connections that have read for longest."""
        self._readers.pop(connection, None)
        self._responses[connection] = size, time.monotonic()
        self.unread += size
        while self.unread > self.limits.unread_bytes and len(self._responses) > 1:
            oldest = next(iter(self._responses))
            self.response_taken(oldest)
            self.metrics.connection_cut("bytes")
            if oldest.abort is not None:
                oldest.abort()

    def response_taken(self, connection: Connection) -> None:
        """Stop counting the response of a connection."""
        self.unread -= self._responses.pop(connection, (0, 0.0))[0]

    async def wait_for_room(self, connection: Connection) -> None:
        """Wait until *connection* may read more: its request is small, there is room, or it is its turn."""
        pause = self.limits.patience_seconds / 10
        self._queue[connection] = None
        try:
            while self.is_full() and connection.held > self.limits.small_bytes and not connection.has_ended:
                now = time.monotonic()
                if now >= self._next_cut:
                    # Not each time: hundreds may wait, and each would check all others.
                    self._next_cut = now + pause
                    self._cut_stalled()
                if self._may_read(connection):
                    break
                await asyncio.sleep(pause)
        finally:
            del self._queue[connection]

    def _may_read(self, connection: Connection) -> bool:
        """Return whether a large request is read although there is no room.

        The one that lacks the fewest bytes comes first. Several are read at once, until the sum of what they lack is bytes_in_flight.
        So clients that announce large bodies and stop do not delay a smaller review.
        """
        if connection in self._readers:
            return True
        self._readers = {one: None for one in self._readers if self._is_large(one)}
        room = self.limits.bytes_in_flight - sum(one.left for one in self._readers)
        if self._readers and connection.left > room:
            return False
        waiting = (one for one in self._queue if one not in self._readers and self._is_large(one))
        if any(one.left < connection.left for one in waiting):
            return False
        self._readers[connection] = None
        return True

    def _is_large(self, connection: Connection) -> bool:
        return connection.held > self.limits.small_bytes and not connection.has_ended

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

    def _stalled(self, *, queued: bool = False) -> Iterator[Connection]:
        """Yield the connections whose clients keep the server waiting; with *queued*, also those that wait for room."""
        now = time.monotonic()
        for one in list(self._all):
            is_late = not one.has_ended and now - one.since >= self.limits.patience_seconds
            if is_late and ((queued and one in self._queue) or self._is_stalled(one, now)):
                yield one

    def _is_stalled(self, connection: Connection, now: float) -> bool:
        if connection in self._responses:
            return now - self._responses[connection][1] >= self.limits.patience_seconds
        if connection.phase is not Phase.REQUEST:
            return connection.keeps_waiting()
        if connection.asked is None:
            # The rest of the request may be in the event loop or in TLS, where it cannot be counted.
            return connection.is_gone()
        # The sum of all waiting for this request: with single bytes, a client cannot start the time again.
        waited = connection.waited + now - connection.asked
        share = 1 + connection.held // self.limits.socket_buffer
        patience = min(share / 5, _MORE_PATIENCE) * self.limits.patience_seconds
        return waited >= patience and connection.keeps_waiting()

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
        if not connection.has_ended:
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
