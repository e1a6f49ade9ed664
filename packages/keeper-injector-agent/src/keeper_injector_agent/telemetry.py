"""Shows how fresh the files are and how Keeper responded: as Prometheus metrics, as JSON, and as text for people.

No record, title or UID appears in any of them.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from keeper_injector_agent.private_files import replace_private_file
from keeper_injector_common.plan.paths import METRICS_NAME

if TYPE_CHECKING:
    from pathlib import Path

    from keeper_injector_agent.state import State

_PREFIX = "keeper_injector_agent"
_COUNTERS = {
    "refreshes": "Refreshes by result: ok, partial, failed, refused (the plan had been changed).",
    "requests": "Requests to Keeper by result.",
    "changes": "Directories, environments and Secrets that changed.",
    "notifications": "Notifications of the application by result.",
}
_RESULTS = {
    "refreshes": ("ok", "partial", "failed", "refused"),
    "requests": (
        *("ok", "empty", "throttled", "key_rotated", "key"),
        *("refused", "tls", "proxy", "timeout", "connection", "too_large"),
    ),
    "changes": ("",),
    "notifications": ("ok", "failed"),
}
"""The results that are shown as 0 before they happen: to Prometheus, a series that begins at 1 has not increased. The statuses of HTTP
(``http_503``) are too many for that."""


def as_prometheus(state: State) -> str:
    """Return *state* in the Prometheus text format, version 0.0.4."""
    lines: list[str] = []
    for family, meaning in _COUNTERS.items():
        name = f"{_PREFIX}_{family}_total"
        lines += [f"# HELP {name} {meaning}", f"# TYPE {name} counter"]
        for result, count in {**dict.fromkeys(_RESULTS[family], 0), **_results(state, family)}.items():
            label = f'{{result="{result}"}}' if result else ""
            lines.append(f"{name}{label} {count}")
    gauges = {
        "last_success_timestamp_seconds": ("When all files were last up to date; 0 if never.", state.last_success),
        "last_attempt_timestamp_seconds": ("When the last refresh ended.", state.last_attempt),
        "throttled_until_timestamp_seconds": (
            "Until when Keeper throttles this pod; 0 if it never did.",
            state.throttled_until,
        ),
        "consecutive_failures": ("Failed refreshes in a row.", state.failures),
        "files": ("Files that the last refresh delivered.", state.files),
        "bytes": ("Size of these files.", state.size),
    }
    for key, (meaning, value) in gauges.items():
        name = f"{_PREFIX}_{key}"
        lines += [f"# HELP {name} {meaning}", f"# TYPE {name} gauge", f"{name} {value}"]
    return "\n".join(lines) + "\n"


def as_json(state: State, now: float | None = None) -> str:
    """Return *state* as a JSON object; *now* (seconds since the epoch) is the time that ages refer to."""
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
            **{family: _results(state, family) for family in _COUNTERS if family != "changes"},
            "changes": state.counts.get("changes", 0),
        },
        indent=2,
    )


def as_text(state: State, now: float | None = None) -> str:
    """Return *state* as text for people."""
    age = _age(state.last_success, now)
    rows = {
        "last success": "never" if age is None else f"{_moment(state.last_success)} ({age} s ago)",
        "last attempt": _moment(state.last_attempt) or "never",
        "files": f"{state.files} ({state.size} bytes)",
        **{family: _listed(_results(state, family)) for family in _COUNTERS},
    }
    if state.failures:
        rows["failures"] = f"{state.failures} in a row"
    if state.throttled_for(now):
        rows["throttled"] = f"no request for {state.throttled_for(now):.0f} s"
    if state.last_error:
        rows["last error"] = state.last_error
    return "\n".join(f"{name:<14}{value}" for name, value in rows.items())


def save_metrics(directory: Path, state: State) -> None:
    """Replace the metrics that the supervisor serves; raises OSError."""
    replace_private_file(directory / METRICS_NAME, as_prometheus(state))


def _results(state: State, family: str) -> dict[str, int]:
    """Return the counters of *family* by result; a counter without results has the key ``""``."""
    found = {name.partition("_"): count for name, count in sorted(state.counts.items())}
    return {result: count for (head, _, result), count in found.items() if head == family}


def _listed(results: dict[str, int]) -> str:
    return ", ".join(f"{count} {result}".rstrip() for result, count in results.items()) or "none"


def _moment(seconds: float) -> str | None:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds)) if seconds else None


def _age(since: float, now: float | None) -> int | None:
    return round((time.time() if now is None else now) - since) if since else None
