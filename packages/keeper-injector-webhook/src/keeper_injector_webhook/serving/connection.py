"""One client's connection: what it does, and what the kernel says about it."""

from __future__ import annotations

import contextlib
import enum
import logging
import socket
import time
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)


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
    left: int = 0
    """Bytes that its request still lacks."""
    awaits: int = 1
    """Bytes that the kernel must have before the server reads any."""
    asked: float | None = None
    """Since when its task has waited for bytes (:func:`time.monotonic`); None while it does something else."""
    waited: float = 0.0
    """Seconds for which its task waited for bytes before, in this phase."""
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
        self.waited = 0.0

    def cut(self) -> None:
        """End the connection without another word. Its task sees the end of the stream when it reads."""
        self.has_ended = True
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)

    def receive(self) -> None:
        """Note that bytes have arrived."""
        if self.asked is not None:
            self.waited += time.monotonic() - self.asked
            self.asked = None

    def keeps_waiting(self) -> bool:
        """Return whether the kernel has nothing for the server to read."""
        return (self._received() or 0) < self.awaits

    def is_gone(self) -> bool:
        """Return whether the client has ended the connection, and everything that it sent was received."""
        return self._received() is None

    def _received(self) -> int | None:
        """Return how many of the awaited bytes the kernel has; None at the end of the stream."""
        try:
            return len(self.sock.recv(self.awaits, socket.MSG_PEEK)) or None
        except BlockingIOError:
            return 0
        except OSError:
            return None


def log_lost(error: OSError) -> None:
    """Log that a connection ended early, and take the traceback from the error.

    The stream keeps the error that it raises, and the traceback would keep the stream in turn, with its TLS state, until the next
    garbage collection: hundreds of connections that had ended held 100 MiB.
    """
    log.debug("connection.lost", extra={"cause": type(error).__name__})
    error.__traceback__ = None
