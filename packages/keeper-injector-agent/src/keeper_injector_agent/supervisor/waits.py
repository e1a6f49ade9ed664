"""How long the supervisor waits before a refresh."""

from __future__ import annotations

import posix

_SHORTEST_WAIT = 5.0
_LONGEST_WAIT = 600.0
_JITTER = 0.1
_POLL = 15.0
# Seconds between two questions to a relay.


def first_wait(age: float | None, interval: float, random: float) -> float:
    """Return the seconds before the first refresh: 0 without a success, otherwise a random part of the rest of the interval."""
    # The init container has just fetched. A thousand pods that started together spread out here.
    if age is None:
        return 0.0
    return max(0.0, interval - age) * random


def next_wait(interval: float, failures: int, throttle_wait: float, random: float) -> float:
    """Return the seconds before the next refresh: the interval ±10 %, or after *failures* a growing wait.

    *throttle_wait* has the seconds for which Keeper wants no request; no wait after a failure is shorter.
    """
    if failures:
        longest = max(_LONGEST_WAIT, interval)
        growing = min(longest, _SHORTEST_WAIT * float(1 << min(failures, 20)))
        return max(growing * (0.5 + random / 2), throttle_wait * (1 + random / 4))
    return interval * (1 - _JITTER + 2 * _JITTER * random)


def poll_wait(random: float, *, first: bool = False) -> float:
    """Return the seconds before a relay is asked whether something is new: 15 ±10 %, and at *first* any part of that."""
    return _POLL * random if first else _POLL * (1 - _JITTER + 2 * _JITTER * random)


def random_fraction() -> float:
    """Return a random number from 0 to 1."""
    # The module random would add half a megabyte.
    return int.from_bytes(posix.urandom(4), "big") / 0xFFFFFFFF
