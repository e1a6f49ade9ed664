"""How large a response may be, so that the container does not run out of memory while it reads one."""

from __future__ import annotations

from pathlib import Path

_MIB = 1024 * 1024
_LARGEST = 256 * _MIB
_SMALLEST = 4 * _MIB
_RESERVED = 60 * _MIB
"""Memory of a worker without the response."""
_COPIES = 5
"""A response is in memory up to five times: received, joined, decrypted, decoded, and written."""
_FILES = ("memory.max", "memory/memory.limit_in_bytes")
"""The memory limit of the container: cgroup version 2, and version 1."""


def largest_response(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the largest response in bytes that fits into this container's memory limit; 256 MiB without a limit."""
    for name in _FILES:
        try:
            limit = int((cgroup / name).read_text(encoding="ascii"))
        except (OSError, ValueError):  # no such file, or "max"
            continue
        return max(_SMALLEST, min(_LARGEST, (limit - _RESERVED) // _COPIES))
    return _LARGEST
