"""Schedules restarts of the containers that receive something which has changed (``on-change: restart``).

The liveness probes of these containers run ``keeper-exec`` from a memory volume, which reads a file for each container there: when the
container is to restart, in seconds after the start of the machine (CLOCK_BOOTTIME), and how long it runs at least. The probe compares
both with the start of its container, so the file can stay when the container has restarted.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from keeper_injector_agent.exec import keeper_exec_path
from keeper_injector_agent.whole_files import replace_file
from keeper_injector_common.plan.paths import EXEC_NAME, below_root

if TYPE_CHECKING:
    from keeper_injector_agent.state import State
    from keeper_injector_common.plan.delivery import Restart

log = logging.getLogger(__name__)

_EXECUTABLE, _READABLE = 0o555, 0o444


def provide_program(restart: Restart | None, root: Path) -> None:
    """Write ``keeper-exec`` to the volume of the probes, unless it is there; raises OSError."""
    if restart is None:
        return
    program = below_root(root, restart.path) / EXEC_NAME
    if not program.exists():
        replace_file(program, keeper_exec_path().read_bytes(), _EXECUTABLE)


def schedule_restarts(restart: Restart | None, changed: Collection[str], state: State, root: Path) -> None:
    """Schedule a restart of each container that receives one of the *changed* volumes. A failure is logged.

    The time is a part of the spread that is always the same for this pod, so that pods which change together do not restart together. A
    restart that is still to come stays as it is: the container will start with everything that has changed until then.
    """
    if restart is None:
        return
    now = seconds_since_boot()
    wait = restart.spread * state.share(b"restart")
    names = [item.name for item in restart.containers if not set(changed).isdisjoint(item.volumes)]
    for name in names:
        path = below_root(root, restart.path) / name
        try:
            if _due(path) > now:
                continue
            replace_file(path, f"{now + wait:.0f} {restart.min_interval:.0f}\n".encode(), _READABLE)
        except OSError as error:
            log.warning("restart.failed", extra={"container": name, "cause": error.strerror})
        else:
            log.info("restart.scheduled", extra={"container": name, "wait_seconds": round(wait)})


def seconds_since_boot() -> float:
    """Return the seconds since the start of the machine, which no correction of a clock changes."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _due(path: Path) -> float:
    """Return when a container is to restart; 0 if it is not."""
    try:
        return float(path.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return 0.0
