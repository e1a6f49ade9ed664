"""How often the kernel has killed a process of this container because the container's memory limit was reached."""

from __future__ import annotations

_FILES = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")
# Of control groups, version 2 (since Linux 4.13) and version 1; both have a line "oom_kill NUMBER".


def count_memory_kills() -> int:
    """Return the number of processes that were killed for memory; 0 if it is unknown."""
    for path in _FILES:
        try:
            with open(path, "rb") as stream:  # noqa: PTH123 - pathlib would add half a megabyte
                lines = stream.read().splitlines()
        except OSError:
            continue
        for line in lines:
            name, _, number = line.partition(b" ")
            if name == b"oom_kill" and number.isdigit():
                return int(number)
    return 0
