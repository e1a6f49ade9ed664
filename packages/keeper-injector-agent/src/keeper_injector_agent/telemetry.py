"""How fresh the files are and what Keeper answered: as Prometheus text, as JSON, and in words. No record is a label."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from keeper_injector_agent.state import State

NAME = "metrics.prom"
"""In the state volume, where the supervisor finds it for the metrics port."""
PREFIX = "keeper_injector_agent"
COUNTERS = {
    "refreshes": "Refreshes by result: ok, partial, failed.",
    "requests": "Requests to Keeper by result.",
    "changes": "Directories of files that changed.",
    "notifications": "Notifications of the application by result.",
}


def as_prometheus(state: State) -> str:
    """Return *state* in Prometheus' text format, version 0.0.4."""
    lines: list[str] = []
    for family, meaning in COUNTERS.items():
        name = f"{PREFIX}_{family}_total"
        lines += [f"# HELP {name} {meaning}", f"# TYPE {name} counter"]
        for result, count in _results(state, family).items():
            label = f'{{result="{result}"}}' if result else ""
            lines.append(f"{name}{label} {count}")
    gauges = {
        "last_success_timestamp_seconds": ("When all files were last up to date; 0: never.", state.last_success),
        "last_attempt_timestamp_seconds": ("When the last refresh ended.", state.last_attempt),
        "throttled_until_timestamp_seconds": (
            "Until when Keeper wants no request; 0: never asked.",
            state.throttled_until,
        ),
        "consecutive_failures": ("Refreshes without success in a row.", state.failures),
        "files": ("Files that the last refresh looked after.", state.files),
        "bytes": ("Their bytes.", state.size),
    }
    for key, (meaning, value) in gauges.items():
        name = f"{PREFIX}_{key}"
        lines += [f"# HELP {name} {meaning}", f"# TYPE {name} gauge", f"{name} {value}"]
    return "\n".join(lines) + "\n"


def as_json(state: State, now: float | None = None) -> str:
    """Return *state* for machines."""
    return json.dumps(
        {
            "lastSuccess": _moment(state.last_success),
            "secondsSinceSuccess": _age(state.last_success, now),
            "lastAttempt": _moment(state.last_attempt),
            "lastError": state.last_error or None,
            "failures": state.failures,
            "throttledForSeconds": round(state.throttled_for(now)),
            "files": state.files,
            "bytes": state.size,
            **{family: _results(state, family) for family in COUNTERS if family != "changes"},
            "changes": state.counts.get("changes", 0),
        },
        indent=2,
    )


def as_text(state: State, now: float | None = None) -> str:
    """Return *state* for people."""
    age = _age(state.last_success, now)
    rows = {
        "last success": "never" if age is None else f"{_moment(state.last_success)} ({age} s ago)",
        "last attempt": _moment(state.last_attempt) or "never",
        "files": f"{state.files} ({state.size} bytes)",
        **{family: _listed(_results(state, family)) for family in COUNTERS},
    }
    if state.failures:
        rows["failures"] = f"{state.failures} in a row"
    if state.throttled_for(now):
        rows["throttled"] = f"no request for {state.throttled_for(now):.0f} s"
    if state.last_error:
        rows["last error"] = state.last_error
    return "\n".join(f"{name:<14}{value}" for name, value in rows.items())


def save(directory: Path, state: State) -> None:
    """Replace the text for Prometheus as a whole; raises OSError."""
    temporary = directory / f".{NAME}.tmp"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as stream:  # noqa: PTH123 - an open descriptor
        stream.write(as_prometheus(state))
    temporary.replace(directory / NAME)


def _results(state: State, family: str) -> dict[str, int]:
    """Return a counter by result; a counter without results has the empty one."""
    found = {name.partition("_"): count for name, count in sorted(state.counts.items())}
    return {result: count for (head, _, result), count in found.items() if head == family}


def _listed(results: dict[str, int]) -> str:
    return ", ".join(f"{count} {result}".rstrip() for result, count in results.items()) or "none"


def _moment(seconds: float) -> str | None:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds)) if seconds else None


def _age(since: float, now: float | None) -> int | None:
    return round((time.time() if now is None else now) - since) if since else None
