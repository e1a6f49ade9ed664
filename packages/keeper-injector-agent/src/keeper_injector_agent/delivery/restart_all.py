"""Schedules a restart of all containers of the pod (``on-change: restart-all``).

The supervisor does the rest: once the time in a file of the state directory has come, it removes the file and exits with a code for which
the kubelet restarts all containers (KEP-5532). The volumes stay, so the init container finds the new files and this state.

Nothing restarts twice for one change. The supervisor removes the file before it exits, and the init container removes it as well, because
all containers start after it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from keeper_injector_agent.delivery.restart import seconds_since_boot
from keeper_injector_agent.private_files import replace_private_file
from keeper_injector_common.plan.paths import RESTART_NAME

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from keeper_injector_agent.state import State
    from keeper_injector_common.plan.delivery import RestartAll

log = logging.getLogger(__name__)


def note_start(restart: RestartAll | None, state: State, directory: Path) -> None:
    """Note in *state* that all containers start now, so that no restart is due. *directory* is that of the state."""
    if restart is None:
        return
    state.started = seconds_since_boot()
    try:
        (directory / RESTART_NAME).unlink(missing_ok=True)
    except OSError as error:
        log.warning("restart_all.failed", extra={"cause": error.strerror})


def schedule_restart_all(restart: RestartAll | None, changed: Collection[str], state: State, directory: Path) -> None:
    """Schedule a restart of all containers if a volume has *changed*. A failure is logged.

    The time is a part of the spread that is always the same for this pod, and not before the containers have run for the least time. A
    restart that is still to come stays as it is: the containers will start with everything that has changed until then.
    """
    path = directory / RESTART_NAME
    if restart is None or not changed or path.exists():
        return
    now = seconds_since_boot()
    due = max(now + restart.spread * state.share(b"restart"), min(state.started, now) + restart.min_interval)
    try:
        replace_private_file(path, f"{due:.0f}\n")
    except OSError as error:
        log.warning("restart_all.failed", extra={"cause": error.strerror})
    else:
        log.info("restart_all.scheduled", extra={"wait_seconds": round(due - now)})
