"""Notifies the application that its files have changed: by a signal, or by an HTTP request inside the pod."""

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

_HTTP_TIMEOUT = 5.0
"""Seconds for one request."""
_HTTP_ATTEMPTS = 3
_FIELD_START_TIME = 22
"""Number of the field ``starttime`` in /proc/PID/stat (proc(5); the first field is 1)."""
_SUCCESS = range(200, 400)


def notify_of_change(target: Notify | None, state: State, *, changed: bool) -> None:
    """Notify the application if something has *changed*, or if a notification is due; a spread of *target* delays it.

    A notification that is still to come stays as it is: the application will find everything that has changed until then.
    """
    if target is None:
        state.notify_at = 0.0
        return
    now = time.time()
    if changed and target.spread and not state.notify_at:
        state.notify_at = now + target.spread * state.share(b"notify")
        log.info("notify.scheduled", extra={"wait_seconds": round(state.notify_at - now)})
    if state.notify_at > now + target.spread:
        state.notify_at = now  # the clock was set back
    if now >= state.notify_at > 0 or (changed and not target.spread):
        state.notify_at = 0.0
        notify_application(target, state)


def notify_application(target: Notify, state: State) -> None:
    """Notify the application as *target* says. A failure is logged and counted, but is never an error."""
    if target.signal:
        _send_signal(target, state)
    if target.url:
        _send_request(target.url, state)


def _send_signal(target: Notify, state: State) -> None:
    number = signal.Signals[str(target.signal)]
    signalled = []
    processes = list(application_processes(target.process))
    for process in processes:
        try:
            os.kill(process, number)
            signalled.append(process)
        except ProcessLookupError:
            continue  # it ended after the list of processes was read
        except PermissionError:
            state.count("notifications_failed")
            log.warning(
                "notify.failed",
                extra={
                    "pid": process,
                    "cause": "not permitted; set keeper.security/run-as-user to the application's user",
                },
            )
    if signalled:
        state.count("notifications_ok")
        log.info("notify.signalled", extra={"signal": target.signal, "processes": signalled})
    elif not processes:
        log.warning(
            "notify.failed", extra={"cause": f"no process named {target.process!r}" if target.process else "no process"}
        )


def application_processes(name: str | None, proc: Path = Path("/proc")) -> Iterator[int]:
    """Yield the processes to signal: those called *name*, or without one the first process of every other container.

    In a shared process namespace, PID 1 belongs to the pause container. Processes that the container runtime starts have no
    parent inside the namespace (parent 0): the first process of each container, and later those of probes and ``kubectl
    exec``, which run in the same cgroup.
    """
    own_group = os.getpgid(0)
    processes = sorted(_processes(proc), key=lambda found: (found.started, found.number))
    own_containers = {process.container for process in processes if process.number == os.getpid()}
    first: set[str] = set()
    for process in processes:
        if process.number == 1 or process.group == own_group or process.number in {os.getpid(), os.getppid()}:
            continue
        if name:
            if process.name == name[:15]:
                yield process.number
        # Some runtimes do not show separate cgroups: then every container appears in the agent's own.
        elif process.parent == 0 and (process.container not in first or process.container in own_containers):
            first.add(process.container)
            yield process.number


@attrs.frozen
class _Process:
    number: int
    name: str
    parent: int
    group: int
    started: int
    """Start time in clock ticks since boot."""
    container: str
    """Its cgroup, which identifies the container."""


def _processes(proc: Path) -> Iterator[_Process]:
    for entry in proc.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            text = (entry / "stat").read_text(encoding="utf-8", errors="replace")
            cgroup = (entry / "cgroup").read_text(encoding="utf-8", errors="replace")
            # proc(5): the name is in parentheses and may contain any character.
            _, parent, group, *rest = text[text.rindex(")") + 2 :].split()
            name = text[text.index("(") + 1 : text.rindex(")")]
            yield _Process(int(entry.name), name, int(parent), int(group), int(rest[_FIELD_START_TIME - 6]), cgroup)
        except (OSError, ValueError, IndexError):
            continue  # it ended while its files were read


def _send_request(url: str, state: State) -> None:
    parts = urlsplit(url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    cause = ""
    for attempt in range(_HTTP_ATTEMPTS):
        if attempt:
            time.sleep(attempt)
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port or 80, timeout=_HTTP_TIMEOUT)
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
            state.count("notifications_ok")
            log.info("notify.posted", extra={"status": status, "attempt": attempt + 1})
            return
        cause = f"HTTP {status}"
    state.count("notifications_failed")
    log.warning("notify.failed", extra={"cause": cause, "attempts": _HTTP_ATTEMPTS})
