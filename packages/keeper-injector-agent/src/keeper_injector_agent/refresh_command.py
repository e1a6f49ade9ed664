"""The command ``refresh``: asks the sidecar for a refresh, waits for its end, and shows the result.

See :mod:`keeper_injector_agent.supervisor.refresh_requests` for how it speaks to the sidecar.
"""

from __future__ import annotations

import errno
import json
import os
import time
from typing import TYPE_CHECKING

import attrs

from keeper_injector_agent import status
from keeper_injector_agent.state import load_state
from keeper_injector_agent.supervisor.refresh_requests import PIPE_NAME, RefreshProgress, read_progress

if TYPE_CHECKING:
    from pathlib import Path

    from keeper_injector_agent.state import State

_POLL_INTERVAL = 0.05


@attrs.frozen
class RequestedRefresh:
    """A refresh that has ended, or the reason why it did not take place."""

    result: str
    """``ok``, ``partial`` (some items are stale), ``failed``, ``killed``, ``throttled``, ``timeout`` or ``no-sidecar``."""
    message: str
    joined: bool = False
    """Whether it was running already."""
    seconds: float = 0.0
    """How long it took."""

    @property
    def exit_code(self) -> int:
        """The exit code of the command."""
        return os.EX_OK if self.result == "ok" else 1


def request_refresh(directory: Path, timeout: float) -> RequestedRefresh:
    """Ask the sidecar whose state is in *directory* for a refresh, and wait for its end, for at most *timeout* seconds.

    While Keeper throttles the pod, the sidecar is not asked.
    """
    throttled = load_state(directory).throttled_for()
    if throttled:
        return RequestedRefresh(
            "throttled", f"Keeper: throttled earlier; no request for {throttled:.0f} s; try again then"
        )
    before = read_progress(str(directory))
    joined = before.running
    try:
        _ask(directory)
    except OSError as error:
        if error.errno not in {errno.ENOENT, errno.ENXIO}:  # no pipe, or nobody who reads it
            reason = f"{error.strerror}; run this command as the user of the sidecar"
            return RequestedRefresh("no-sidecar", f"{directory}/{PIPE_NAME}: {reason}")
        text = f"{directory}/{PIPE_NAME}: no sidecar runs here; run this command in container keeper-injector-sidecar"
        return RequestedRefresh("no-sidecar", text)
    ended = _wait(directory, before.number if joined else before.number + 1, timeout)
    if ended is None:
        text = f"the refresh has not ended after {timeout:g} s; the sidecar goes on, and its log will have the result"
        return RequestedRefresh("timeout", text, joined)
    return _result(ended, load_state(directory), joined=joined)


def _ask(directory: Path) -> None:
    """Write a request; raises OSError. A full pipe has requests enough."""
    pipe = os.open(directory / PIPE_NAME, os.O_WRONLY | os.O_NONBLOCK)
    try:
        os.write(pipe, b"r")
    except BlockingIOError:
        return
    finally:
        os.close(pipe)


def _wait(directory: Path, number: int, timeout: float) -> RefreshProgress | None:
    """Return the refresh with this *number*, or a later one, when it has ended; None after *timeout* seconds."""
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        found = read_progress(str(directory))
        if found.number >= number and not found.running:
            return found
        time.sleep(_POLL_INTERVAL)
    return None


def _result(ended: RefreshProgress, state: State, *, joined: bool) -> RequestedRefresh:
    seconds = round(max(0.0, ended.ended - ended.began), 3)
    if ended.code == os.EX_OK:
        return RequestedRefresh("ok", "everything is up to date", joined, seconds)
    result = "killed" if ended.code < 0 else "failed" if state.failures else "partial"
    if state.last_attempt >= ended.began:
        return RequestedRefresh(result, state.last_error, joined, seconds)
    ending = f"signal {-ended.code}" if ended.code < 0 else f"exit code {ended.code}"
    text = f"{ending}; the log of the sidecar has the reason"
    return RequestedRefresh("killed" if ended.code < 0 else "failed", text, joined, seconds)


def as_json(refresh: RequestedRefresh, directory: Path) -> str:
    """Return the result, and the freshness of all targets, as a JSON object."""
    return json.dumps({**attrs.asdict(refresh), "targets": status.targets(load_state(directory))}, indent=2)


def as_text(refresh: RequestedRefresh, directory: Path) -> str:
    """Return the result, and the freshness of all targets, as text for people."""
    head = f"{refresh.result}: {refresh.message}" + (f" ({refresh.seconds:.1f} s)" if refresh.seconds else "")
    lines = [head]
    if refresh.joined:
        lines.append("this refresh was running already; run the command again if you have changed something since then")
    state = load_state(directory)
    return "\n".join([*lines, "", *status.table(state)] if state.freshness.targets else lines)
