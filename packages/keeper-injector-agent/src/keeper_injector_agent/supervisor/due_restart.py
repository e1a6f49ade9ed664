"""The restart of all containers that a worker has scheduled (``on-change: restart-all``)."""

from __future__ import annotations

import posix
import time

from keeper_injector_agent.supervisor.log_lines import log_event

RESTART_NAME = "restart"
RESTART_ALL_CODE = 88
# As in keeper_injector_common, which may not be imported here; a test compares them.


class DueRestart:
    """When all containers are to restart, which a file in the state directory says."""

    def __init__(self, directory: str) -> None:
        self._path = f"{directory}/{RESTART_NAME}"
        self._failed = False

    def wait(self) -> float | None:
        """Return the seconds until the restart; None if nothing is to restart."""
        if self._failed:
            return None
        try:
            file = posix.open(self._path, posix.O_RDONLY)
        except OSError:
            return None
        try:
            due = float(posix.read(file, 32))
        except (OSError, ValueError):
            return None
        finally:
            posix.close(file)
        return max(0.0, due - time.clock_gettime(time.CLOCK_BOOTTIME))

    def take(self) -> bool:
        """Forget the restart, and return whether it is to take place now.

        If the file cannot be removed, there is no restart: the next supervisor would find the file again, and restart everything forever.
        """
        try:
            posix.unlink(self._path)
        except OSError as error:
            self._failed = True
            log_event("error", "restart_all.skipped", errno=error.errno)
            return False
        log_event("info", "restart_all.started", exit_code=RESTART_ALL_CODE)
        return True
