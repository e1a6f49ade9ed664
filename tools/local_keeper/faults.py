"""Faults on demand: the kind of fault, the operation, and the number of requests."""

from __future__ import annotations

import threading
import time
from collections import deque
from itertools import count
from typing import Any

import attrs

_FOREVER = 3600.0
_DESCRIPTIONS = {
    "cut": "closes the connection",
    "truncate": "half an answer",
    "corrupt": "bytes that do not decrypt",
    "empty": "empty answer",
}


@attrs.frozen
class Fault:
    """One way for a request to fail."""

    kind: str
    status: int = 200
    body: dict[str, Any] | None = None
    headers: dict[str, str] = attrs.field(factory=dict)
    seconds: float = 0.0

    @property
    def description(self) -> str:
        """A few words for people, such as ``403 throttled``."""
        match self.kind:
            case "answer":
                return f"{self.status} {(self.body or {}).get('error', '')}".strip()
            case "slow":
                return "never answers" if self.seconds >= _FOREVER else f"answers after {self.seconds:g} s"
            case _:
                return _DESCRIPTIONS[self.kind]

    @classmethod
    def throttled(cls, status: int = 403, retry_after: float | None = None) -> Fault:
        """Answer like Keeper after too many requests: 403 with an error code, or 429 of the edge."""
        if status == 429:
            headers = {} if retry_after is None else {"Retry-After": str(int(retry_after))}
            return cls("answer", 429, None, headers)
        body: dict[str, Any] = {"error": "throttled", "additional_info": "throttled", "message": "get_secret"}
        return cls("answer", status, body if retry_after is None else {**body, "retry_after": retry_after})

    @classmethod
    def http(cls, status: int = 503) -> Fault:
        """Answer with a bare status and an HTML page, as a gateway does."""
        return cls("answer", status)

    @classmethod
    def api_error(cls, error: str, message: str = "", status: int = 403) -> Fault:
        """Answer with one of Keeper's error documents."""
        return cls("answer", status, {"error": error, "message": message})

    @classmethod
    def revoked(cls) -> Fault:
        """Answer as for a device that was removed."""
        return cls.api_error("access_denied", "Unable to validate application access")

    @classmethod
    def key_error(cls, key_id: int) -> Fault:
        """Tell the client to use another server key."""
        return cls("answer", 401, {"error": "key", "key_id": key_id, "message": "invalid key id"})

    @classmethod
    def slow(cls, seconds: float) -> Fault:
        """Answer correctly, but later."""
        return cls("slow", seconds=seconds)

    @classmethod
    def hang(cls) -> Fault:
        """Never answer."""
        return cls("slow", seconds=_FOREVER)

    @classmethod
    def cut(cls) -> Fault:
        """Close the connection instead of answering."""
        return cls("cut")

    @classmethod
    def truncate(cls) -> Fault:
        """Close the connection in the middle of the answer."""
        return cls("truncate")

    @classmethod
    def corrupt(cls) -> Fault:
        """Answer with bytes that do not decrypt."""
        return cls("corrupt")

    @classmethod
    def empty(cls) -> Fault:
        """Answer 200 with no body: the SDK treats it as zero records."""
        return cls("empty")

    @classmethod
    def expired_file_url(cls) -> Fault:
        """Answer a download like a storage service whose URL has expired."""
        return cls("answer", 403)


@attrs.define
class ArmedFault:
    """A fault that is switched on."""

    number: int
    fault: Fault
    operation: str
    """The operation that it applies to, or ``*`` for any."""
    times: int | None
    """The number of requests that are left to fail; None: until it is switched off."""
    after: int
    """The number of requests that succeed before."""


class Faults:
    """The armed faults, an outage, and Keeper's throttle rule."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = count(1)
        self._armed: list[ArmedFault] = []
        self._outage_until = 0.0
        self._rule: tuple[int, float] | None = None
        self._seen: dict[str, deque[float]] = {}

    def arm(self, fault: Fault, operation: str = "*", times: int | None = 1, *, after: int = 0) -> None:
        """Let the next *times* requests of *operation* (``*``: any) fail, *after* that many succeed; None: until cleared."""
        with self._lock:
            self._armed.append(ArmedFault(next(self._numbers), fault, operation, times, after))

    def armed(self) -> list[ArmedFault]:
        """Return a copy of the faults that are switched on."""
        with self._lock:
            return [attrs.evolve(armed) for armed in self._armed]

    def disarm(self, number: int) -> None:
        """Switch one fault off; raises KeyError."""
        with self._lock:
            left = [armed for armed in self._armed if armed.number != number]
            if len(left) == len(self._armed):
                raise KeyError(f"no fault {number}; it is already switched off")
            self._armed = left

    @property
    def outage_left(self) -> float:
        """The seconds until an outage ends; 0 without one."""
        return max(0.0, self._outage_until - time.monotonic())

    def clear(self) -> None:
        """Remove all faults and end an outage."""
        with self._lock:
            self._armed.clear()
            self._outage_until = 0.0

    def outage(self, seconds: float) -> None:
        """Answer every request with 503 for that long."""
        self._outage_until = time.monotonic() + seconds

    def throttle_rule(self, limit: int | None, window: float = 10.0) -> None:
        """Throttle a client after *limit* requests within *window* seconds, including rejected requests; None: never."""
        with self._lock:
            self._rule = None if limit is None else (limit, window)
            self._seen.clear()

    def next(self, operation: str) -> Fault | None:
        """Return the fault for a request of *operation*, and use it up."""
        if time.monotonic() < self._outage_until:
            return Fault.http(503)
        with self._lock:
            for armed in self._armed:
                if armed.operation not in {"*", operation}:
                    continue
                if armed.after:
                    armed.after -= 1
                else:
                    if armed.times is not None:
                        armed.times -= 1
                        if armed.times <= 0:
                            self._armed.remove(armed)
                    return armed.fault
        return None

    def too_many(self, client: str) -> bool:
        """Count a request of *client* and return whether to throttle it. The window ends only after that time without a request."""
        with self._lock:
            if self._rule is None:
                return False
            limit, window = self._rule
            seen = self._seen.setdefault(client, deque())
            now = time.monotonic()
            if seen and now - seen[-1] > window:
                seen.clear()
            seen.append(now)
            if len(seen) > limit:
                return True
            while seen and now - seen[0] > window:
                seen.popleft()
            return False
