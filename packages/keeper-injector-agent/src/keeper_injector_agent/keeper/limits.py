"""How large a response may be, so that the container does not run out of memory while it reads one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

_MIB = 1024 * 1024
_LARGEST = 256 * _MIB
_SMALLEST = 4 * _MIB
_RESERVED = 60 * _MIB
"""Memory of a worker without the response."""
_RESPONSE_COPIES = 4
"""A large response of Keeper's API takes two and a half times its size (received and joined, or decrypted and decoded), and three and a
half times if its records have 0.2 KB, because a Python object is larger than its JSON."""
_FILE_COPIES = 3
"""An attachment is in memory up to three times: decrypted, and in the volume, where the old one stays until the new one is complete."""
_FILES = ("memory.max", "memory/memory.limit_in_bytes")
"""The memory limit of the container: cgroup version 2, and version 1."""


class SizeLimits(NamedTuple):
    """How large responses may be, in bytes."""

    response: int
    """A response of Keeper's API."""
    file: int
    """An attachment."""


def size_limits(cgroup: Path = Path("/sys/fs/cgroup")) -> SizeLimits:
    """Return what fits into this container's memory limit; 256 MiB without a limit."""
    available = _memory_limit(cgroup) - _RESERVED
    response, file = (max(_SMALLEST, min(_LARGEST, available // copies)) for copies in (_RESPONSE_COPIES, _FILE_COPIES))
    return SizeLimits(response, file)


def _memory_limit(cgroup: Path) -> int:
    for name in _FILES:
        try:
            return int((cgroup / name).read_text(encoding="ascii"))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return sys.maxsize
