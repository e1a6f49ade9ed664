"""Shows how fresh the secrets are and how Keeper responded, as Prometheus metrics. No record, title or UID appears in them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from keeper_injector_agent.errors import KilledError
from keeper_injector_agent.private_files import replace_private_file
from keeper_injector_agent.state import save_state
from keeper_injector_common.plan.paths import METRICS_NAME, REFRESHED_NAME, RELAY_NAME

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from keeper_injector_agent.state import State

log = logging.getLogger(__name__)

_PREFIX = "keeper_injector_agent"
_COUNTERS = {
    "refreshes": "Refreshes by result: ok, partial, failed, refused (the plan had been changed).",
    "requests": "Requests to Keeper by result.",
    "changes": "Changes of directories, environment variables and Secrets, without their first content.",
    "replacements": "Names of records that came to mean another record than before.",
    "notifications": "Notifications of the application by result.",
    "kills": "Refreshes that were killed, by cause: memory, container (it ended as a whole), deadline, signal (of another process).",
}
_RESULTS = {
    "refreshes": ("ok", "partial", "failed", "refused"),
    "requests": (
        *("ok", "empty", "throttled", "key_rotated", "key"),
        *("refused", "tls", "proxy", "timeout", "connection", "too_large"),
    ),
    "changes": ("",),
    "replacements": ("",),
    "notifications": ("ok", "failed"),
    "kills": KilledError.CAUSES,
}
"""The results that are shown as 0 before they happen: to Prometheus, a series that begins at 1 has not increased. The statuses of HTTP
(``http_503``) are too many for that."""
_LABELS = {"kills": "cause"}
"""The label of the results, where it is not ``result``."""

_OF_TARGETS: dict[str, tuple[str, Callable[[State, str], float]]] = {
    "up_to_date_timestamp_seconds": (
        "When all items of a directory, of the environment variables or of a Secret were last up to date; 0 if never.",
        lambda state, target: state.freshness.up_to_date(target),
    ),
    "stale_items": (
        "Items that the last refresh could not bring up to date.",
        lambda state, target: len(state.freshness.targets[target].stale),
    ),
    "last_change_timestamp_seconds": (
        "When its content was last replaced; 0 if it still has its first content.",
        lambda state, target: state.freshness.targets[target].changed,
    ),
}


def as_prometheus(state: State) -> str:
    """Return *state* in the Prometheus text format, version 0.0.4."""
    lines: list[str] = []
    for family, meaning in _COUNTERS.items():
        name = f"{_PREFIX}_{family}_total"
        lines += [f"# HELP {name} {meaning}", f"# TYPE {name} counter"]
        for result, count in {**dict.fromkeys(_RESULTS[family], 0), **state.results(family)}.items():
            label = f'{{{_LABELS.get(family, "result")}="{result}"}}' if result else ""
            lines.append(f"{name}{label} {count}")
    gauges = {
        "last_success_timestamp_seconds": ("When all files were last up to date; 0 if never.", state.last_success),
        "last_fetch_timestamp_seconds": (
            "When records were last fetched from Keeper; 0 if never.",
            state.freshness.fetched,
        ),
        "last_attempt_timestamp_seconds": ("When the last refresh ended.", state.last_attempt),
        "refresh_interval_seconds": ("Seconds between refreshes, as the plan says.", state.interval),
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
    for key, (meaning, value_of) in _OF_TARGETS.items():
        name = f"{_PREFIX}_{key}"
        lines += [f"# HELP {name} {meaning}", f"# TYPE {name} gauge"]
        lines += [f"{name}{{target={_quoted(found)}}} {value_of(state, found)}" for found in state.freshness.targets]
    return "\n".join(lines) + "\n"


def save_result(directory: Path, state: State, *, refreshed: bool) -> None:
    """Save the state and its metrics. A failure is logged: the files matter more than what is known of them."""
    try:
        if refreshed:
            (directory / REFRESHED_NAME).touch()
        save_state(directory, state)
        replace_private_file(directory / METRICS_NAME, as_prometheus(state))
        if state.relay.get("head"):
            replace_private_file(directory / RELAY_NAME, f"{' '.join(state.relay['head'])} {_snapshot(state)}\n")
        else:
            (directory / RELAY_NAME).unlink(missing_ok=True)
    except OSError as error:
        log.warning("state.write_failed", extra={"path": str(directory), "cause": error.strerror})


def _snapshot(state: State) -> str:
    """Return the snapshot that was used, for the supervisor: the digest of its index, and its time."""
    return f"{state.relay['index']} {state.relay['fetched']}"


def _quoted(text: str) -> str:
    """Return *text* as the value of a label."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
