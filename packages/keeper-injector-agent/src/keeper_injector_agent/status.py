"""Shows how fresh the secrets are and how Keeper responded, as JSON for programs and as text for people.

It names files, and problems name records and fields, but no value of one appears.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keeper_injector_agent.state import State

_FAMILIES = ("refreshes", "requests", "notifications")


def as_json(state: State, now: float | None = None) -> str:
    """Return *state* as a JSON object; *now* (seconds since the epoch) is the time that ages refer to."""
    return json.dumps(
        {
            "lastSuccess": moment(state.last_success),
            "secondsSinceSuccess": _age(state.last_success, now),
            "lastFetch": moment(state.freshness.fetched),
            "lastAttempt": moment(state.last_attempt),
            "lastError": state.last_error or None,
            "warnings": state.warnings,
            "failures": state.failures,
            "throttledForSeconds": round(state.throttled_for(now)),
            "files": state.files,
            "bytes": state.size,
            "relay": _relay(state, now),
            "targets": targets(state, now),
            "references": [
                {
                    "reference": name,
                    "uid": found["uid"],
                    "previousUid": found["previous"] or None,
                    "changed": moment(found["changed"]),
                    "write": found["exact"] or None,
                }
                for name, found in state.references.items()
            ],
            **{family: state.results(family) for family in _FAMILIES},
            "changes": state.counts.get("changes", 0),
            "replacements": state.counts.get("replacements", 0),
        },
        indent=2,
    )


def _relay(state: State, now: float | None) -> dict[str, Any] | None:
    """Return which snapshot of a relay was used last; None without a relay."""
    if not state.relay:
        return None
    fetched = float(state.relay["fetched"])
    frozen = bool(state.relay.get("frozen"))
    return {"snapshot": moment(fetched), "ageSeconds": _age(fetched, now), "frozen": frozen}


def targets(state: State, now: float | None = None) -> list[dict[str, Any]]:
    """Return each directory, set of variables and Secret as JSON: when it was up to date, when it changed, what is stale."""
    freshness = state.freshness
    return [
        {
            "target": name,
            "upToDate": moment(freshness.up_to_date(name)),
            "secondsSinceUpToDate": _age(freshness.up_to_date(name), now),
            "lastChange": moment(target.changed),
            "stale": [
                {"item": item, "upToDate": moment(found.since), "problem": found.problem}
                for item, found in target.stale.items()
            ],
        }
        for name, target in freshness.targets.items()
    ]


def as_text(state: State, now: float | None = None) -> str:
    """Return *state* as text for people."""
    rows = {
        "last success": _with_age(state.last_success, now),
        "last fetch": _with_age(state.freshness.fetched, now),
        "last attempt": moment(state.last_attempt) or "never",
        "files": f"{state.files} ({state.size} bytes)",
        **{family: _listed(state.results(family)) for family in _FAMILIES},
        "changes": str(state.counts.get("changes", 0)),
    }
    if state.relay:
        frozen = ", frozen" if state.relay.get("frozen") else ""
        rows["relay"] = f"snapshot of {_with_age(float(state.relay['fetched']), now)}{frozen}"
    if state.failures:
        rows["failures"] = f"{state.failures} in a row"
    if state.throttled_for(now):
        rows["throttled"] = f"no request for {state.throttled_for(now):.0f} s"
    if state.last_error:
        rows["last error"] = state.last_error
    lines = [*(f"{name:<14}{value}" for name, value in rows.items()), *_surprises(state, now)]
    return "\n".join([*lines, "", *table(state, now)] if state.freshness.targets else lines)


def _surprises(state: State, now: float | None) -> Iterator[str]:
    """Yield a line for each warning, and for each name that means another record than before, or was taken for a title."""
    yield from (f"warning: {text}" for text in state.warnings)
    for name, found in state.references.items():
        if found["previous"]:
            yield (
                f"changed: {name!r} means {found['uid']} since {_with_age(found['changed'], now)}, and meant {found['previous']}"
            )
        if found["exact"]:
            yield f"by title: record {name!r} was found as a title; write {found['exact']}"


def table(state: State, now: float | None = None) -> list[str]:
    """Return the lines of a table of all targets, and below it a line for each stale item."""
    known = state.freshness.targets
    width = max(map(len, ("TARGET", *known))) + 3
    lines = [f"{'TARGET':<{width}}{'UP TO DATE':<36}LAST CHANGE"]
    for name, target in known.items():
        changed = _with_age(target.changed, now) if target.changed else "not since its first content"
        lines.append(f"{name:<{width}}{_with_age(state.freshness.up_to_date(name), now):<36}{changed}")
    stale = [(item, found) for target in known.values() for item, found in target.stale.items()]
    return lines + [
        f"stale since {moment(found.since) or 'the start'}: {item}: {found.problem}" for item, found in stale
    ]


def moment(seconds: float) -> str | None:
    """Return a time (seconds since the epoch) as text, or None for 0, which means never."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds)) if seconds else None


def _with_age(seconds: float, now: float | None) -> str:
    return f"{moment(seconds)} ({_age(seconds, now)} s ago)" if seconds else "never"


def _age(since: float, now: float | None) -> int | None:
    return round((time.time() if now is None else now) - since) if since else None


def _listed(results: dict[str, int]) -> str:
    return ", ".join(f"{count} {result}".rstrip() for result, count in results.items()) or "none"
