"""The latest requests of clients, for the web page."""

from __future__ import annotations

import time
from collections import deque
from itertools import count

import attrs

KEPT = 200
"""Requests in the log; an older one is removed."""
_LONGEST = 64
"""Characters of a name that a client chooses."""


@attrs.define
class LoggedRequest:
    """One request: who asked for what, and how it was answered."""

    number: int
    operation: str
    time: float = attrs.field(factory=time.time)
    """Seconds since the epoch, at arrival."""
    device: str = ""
    """The name of the device; empty if it is not known, and for downloads and uploads."""
    client: str = ""
    """The client's version, such as ``mp17.3.0`` of the Python SDK."""
    fault: str = ""
    """The fault that this request met."""
    status: int | None = None
    """The HTTP status; None while there is no answer, as with a fault that never answers."""


class RequestLog:
    """The last :data:`KEPT` requests."""

    def __init__(self) -> None:
        self._requests: deque[LoggedRequest] = deque(maxlen=KEPT)
        self._numbers = count(1)

    def add(self, operation: str) -> LoggedRequest:
        """Log a request that has arrived, and return its entry to complete."""
        entry = LoggedRequest(next(self._numbers), operation[:_LONGEST])
        self._requests.append(entry)
        return entry

    def latest(self, limit: int = KEPT) -> list[LoggedRequest]:
        """Return the last *limit* requests, the newest first."""
        return list(self._requests)[-limit:][::-1]
