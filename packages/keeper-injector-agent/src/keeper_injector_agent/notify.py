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

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keeper_injector_agent.state import State
    from keeper_injector_common.delivery import Notify

log = logging.getLogger(__name__)

HTTP_TIMEOUT = 5.0
HTTP_ATTEMPTS = 3
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
    for process in application_processes(target.process):
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
    else:
        log.warning(
            "notify.failed", extra={"cause": f"no process named {target.process!r}" if target.process else "no process"}
        )


def application_processes(name: str | None, proc: Path = Path("/proc")) -> Iterator[int]:
    """Iterate over the processes to signal: those called *name*, else the first process of each container but our own.

    In a shared process namespace PID 1 is the pause container's and every container's first process has parent 0 or 1.
    """
    own = os.getpgid(0)
    for entry in sorted((path for path in proc.iterdir() if path.name.isdigit()), key=lambda path: int(path.name)):
        process = int(entry.name)
        try:
            comm, parent, group = _status(entry)
        except (OSError, ValueError):
            continue  # it ended while we looked
        if process == 1 or group == own or process in {os.getpid(), os.getppid()}:
            continue
        if comm == name[:15] if name else parent in {0, 1}:
            yield process


def _status(entry: Path) -> tuple[str, int, int]:
    """Return name, parent and process group (proc(5): the name stands in parentheses and may hold any character)."""
    text = (entry / "stat").read_text(encoding="utf-8", errors="replace")
    comm = text[text.index("(") + 1 : text.rindex(")")]
    _, parent, group, *_ = text[text.rindex(")") + 2 :].split()
    return comm, int(parent), int(group)


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
