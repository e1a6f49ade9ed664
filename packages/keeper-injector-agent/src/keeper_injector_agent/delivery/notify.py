"""Telling the application that its files have changed: a signal, or an HTTP request inside the pod."""

from __future__ import annotations

import http.client
import logging
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keeper_injector_agent.state import State
    from keeper_injector_common.plan.delivery import Notify

log = logging.getLogger(__name__)

HTTP_TIMEOUT = 5.0
HTTP_ATTEMPTS = 3
FIELD_STARTED = 22
"""Which field of /proc/PID/stat says when a process was started (proc(5); the first is 1)."""
_SUCCESS = range(200, 400)


def notify(target: Notify | None, memory: State) -> None:
    """Tell the application, if *target* says how; a failure is a warning and a count, never an error."""
    if target is None:
        return
    if target.signal:
        _signal(target, memory)
    if target.url:
        _post(target.url, memory)


def _signal(target: Notify, memory: State) -> None:
    number = signal.Signals[str(target.signal)]
    told = []
    processes = list(application_processes(target.process))
    for process in processes:
        try:
            os.kill(process, number)
            told.append(process)
        except ProcessLookupError:
            continue  # it ended by itself between the look and the signal
        except PermissionError:
            memory.count("notifications_failed")
            log.warning(
                "notify.failed",
                extra={
                    "pid": process,
                    "cause": "not permitted; keeper.security/run-as-user must be the application's",
                },
            )
    if told:
        memory.count("notifications_ok")
        log.info("notify.signalled", extra={"signal": target.signal, "processes": told})
    elif not processes:
        log.warning(
            "notify.failed", extra={"cause": f"no process named {target.process!r}" if target.process else "no process"}
        )


def application_processes(name: str | None, proc: Path = Path("/proc")) -> Iterator[int]:
    """Iterate over the processes to signal: those called *name*, else the first process of each container but our own.

    In a shared process namespace PID 1 is the pause container's, and what the container runtime starts has no parent that
    is seen from here: a container's first process, and later those of probes and of ``kubectl exec``, in the same cgroup.
    """
    own = os.getpgid(0)
    processes = sorted(_processes(proc), key=lambda found: (found.started, found.number))
    ours = {process.container for process in processes if process.number == os.getpid()}
    first: set[str] = set()
    for process in processes:
        if process.number == 1 or process.group == own or process.number in {os.getpid(), os.getppid()}:
            continue
        if name:
            if process.name == name[:15]:
                yield process.number
        # A runtime whose cgroups do not tell containers apart shows all of them in ours.
        elif process.parent == 0 and (process.container not in first or process.container in ours):
            first.add(process.container)
            yield process.number


@attrs.frozen
class _Process:
    number: int
    name: str
    parent: int
    group: int
    started: int
    """In ticks since the machine's start."""
    container: str
    """What tells its container from others: its cgroup."""


def _processes(proc: Path) -> Iterator[_Process]:
    for entry in proc.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            text = (entry / "stat").read_text(encoding="utf-8", errors="replace")
            cgroup = (entry / "cgroup").read_text(encoding="utf-8", errors="replace")
            # proc(5): the name stands in parentheses and may hold any character.
            _, parent, group, *rest = text[text.rindex(")") + 2 :].split()
            name = text[text.index("(") + 1 : text.rindex(")")]
            yield _Process(int(entry.name), name, int(parent), int(group), int(rest[FIELD_STARTED - 6]), cgroup)
        except (OSError, ValueError, IndexError):
            continue  # it ended while we looked


def _post(url: str, memory: State) -> None:
    parts = urlsplit(url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    cause = ""
    for attempt in range(HTTP_ATTEMPTS):
        if attempt:
            time.sleep(attempt)
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port or 80, timeout=HTTP_TIMEOUT)
        try:
            connection.request(
                "POST", path or "/", headers={"User-Agent": "keeper-injector-agent", "Content-Length": "0"}
            )
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            cause = type(error).__name__
            continue
        finally:
            connection.close()
        if status in _SUCCESS:
            memory.count("notifications_ok")
            log.info("notify.posted", extra={"status": status, "attempt": attempt + 1})
            return
        cause = f"HTTP {status}"
    memory.count("notifications_failed")
    log.warning("notify.failed", extra={"cause": cause, "attempts": HTTP_ATTEMPTS})
