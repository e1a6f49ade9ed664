"""Processes by PID and start time, because PIDs are reused."""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress
from pathlib import Path
from typing import Self

import attrs

_STATE, _PARENT, _STARTED = 0, 1, 19
"""Places of these fields of /proc/PID/stat behind the command's name; see proc(5)."""


@attrs.frozen
class Process:
    """A process by PID and start time (in clock ticks since boot)."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Self | None:
        """Return the process that has this PID now; a zombie has ended."""
        fields = _stat(pid)
        return None if fields is None or fields[_STATE] in "ZX" else cls(pid, int(fields[_STARTED]))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse the result of ``str()``."""
        pid, started = text.split()
        return cls(int(pid), int(started))

    def __str__(self) -> str:
        return f"{self.pid} {self.started}"

    @property
    def alive(self) -> bool:
        """Whether the process is still running."""
        return self.of(self.pid) == self

    @property
    def child(self) -> int | None:
        """PID of a child, or None."""
        for folder in Path("/proc").iterdir():
            fields = _stat(int(folder.name)) if folder.name.isdecimal() else None
            if fields is not None and int(fields[_PARENT]) == self.pid:
                return int(folder.name)
        return None

    def kill(self) -> None:
        """Kill the process."""
        if self.alive:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


def wait_for_any(*processes: Process) -> None:
    """Return when one of *processes* has ended."""
    poll = select.poll()
    descriptors = []
    try:
        for process in processes:
            try:
                descriptor = os.pidfd_open(process.pid)
            except ProcessLookupError:
                return
            descriptors.append(descriptor)
            if not process.alive:
                return
            poll.register(descriptor, select.POLLIN)
        poll.poll()
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name is in parentheses and can contain any character.
    return text.rpartition(")")[2].split()
