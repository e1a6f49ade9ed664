"""How much memory the processes of this container may still use before the kernel kills them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class ControlGroup(NamedTuple):
    """The files of a version of control groups."""

    limit: Path
    usage: Path
    statistics: Path
    reclaimable: bytes
    """The statistic of the file cache that the kernel drops before it kills; the kubelet also subtracts it."""


CONTROL_GROUPS = (
    ControlGroup(
        Path("/sys/fs/cgroup/memory.max"),
        Path("/sys/fs/cgroup/memory.current"),
        Path("/sys/fs/cgroup/memory.stat"),
        b"inactive_file",
    ),
    ControlGroup(
        Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
        Path("/sys/fs/cgroup/memory/memory.stat"),
        b"total_inactive_file",
    ),
)
"""Version 2 and version 1, as a container sees them."""


def available_memory() -> int | None:
    """Return the bytes below the container's limit; None without a limit, or if it cannot be read."""
    for group in CONTROL_GROUPS:
        try:
            limit = group.limit.read_bytes().strip()
            if limit == b"max":
                return None
            used = int(group.usage.read_bytes())
            statistics = dict(line.split() for line in group.statistics.read_bytes().splitlines())
            return max(0, int(limit) - max(0, used - int(statistics.get(group.reclaimable, 0))))
        except (OSError, ValueError):
            continue
    return None


def own_data() -> int:
    """Return the bytes that count against this process's RLIMIT_DATA; 0 if they cannot be read."""
    try:
        lines = Path("/proc/self/status").read_bytes().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(b"VmData:")), 0)
