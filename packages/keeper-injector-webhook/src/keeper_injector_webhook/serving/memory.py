"""Returns freed memory to the system.

The buffers of TLS connections are freed into glibc's heap, and glibc returns only the end of its heap by itself. What is allocated
between them keeps the rest resident: after ten minutes of hostile clients (soak_webhook), 44 of 60 MiB of the heap were free. The
container's limit counts them all the same.

uvloop allocates a buffer of 256 KiB for each TLS connection, of which a handshake uses a few KiB. In freed memory that was not returned
yet, all of it is resident: 250 handshakes that stopped held 40 MiB where fresh ones hold 12. Hence memory is also returned after each
group of connections that ended without a request. After others, it would only take time.
"""

from __future__ import annotations

import asyncio
import ctypes
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

EVERY = 1.0
"""Seconds between two returns. One takes 0.2 ms with a usual heap, and 2 ms with 40 MiB of freed memory."""
GROUP = 64
"""Connections without an answered request that end between two returns. Each leaves about 50 KiB."""


class Returns:
    """Returns freed memory after each group of connections that nobody used, if the C library can do it."""

    def __init__(self) -> None:
        self._trim = find_trim()
        self._ended = 0

    def unused_connection_ended(self) -> None:
        """Count a connection that has ended without an answered request."""
        self._ended += 1
        if self._ended >= GROUP and self._trim is not None:
            self._ended = 0
            self._trim(0)


async def return_freed_memory_forever(seconds: float = EVERY) -> None:
    """Return freed memory every *seconds*. End at once where the C library cannot do it, as musl."""
    trim = find_trim()
    while trim is not None:
        await asyncio.sleep(seconds)
        trim(0)


def find_trim() -> Callable[[int], int] | None:
    """Return glibc's ``malloc_trim``, or None with another C library."""
    trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim
