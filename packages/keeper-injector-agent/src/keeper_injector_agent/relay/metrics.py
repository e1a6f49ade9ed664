"""The relay's metrics in the Prometheus text format, version 0.0.4. No record, title or UID appears in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from keeper_injector_agent.relay.application import Application

_PREFIX = "keeper_injector_relay"
_GAUGES: dict[str, tuple[str, Callable[[Application], float]]] = {
    "snapshot_timestamp_seconds": (
        "Keeper's time of the last answer that is published; 0 before the first.",
        lambda application: application.fetched,
    ),
    "records": ("Records that are published.", lambda application: application.records),
    "reencrypted": (
        "1 if Keeper encrypts everything again in each answer, so that only revisions show a change.",
        lambda application: float(application.is_reencrypted),
    ),
    "published_bytes": ("Bytes of all published files.", lambda application: application.size),
}
_COUNTERS: dict[str, tuple[str, Callable[[Application], dict[str, int]]]] = {
    "polls_total": ("Polls by result: ok, failed, throttled.", lambda application: application.polls),
    "requests_total": ("Requests to Keeper by result.", lambda application: application.requests),
}


def as_prometheus(applications: Sequence[Application]) -> str:
    """Return the metrics of all *applications*."""
    return "".join(f"{line}\n" for line in _lines(applications))


def _lines(applications: Sequence[Application]) -> Iterator[str]:
    for name, (meaning, value) in _GAUGES.items():
        yield f"# HELP {_PREFIX}_{name} {meaning}"
        yield f"# TYPE {_PREFIX}_{name} gauge"
        for application in applications:
            yield f'{_PREFIX}_{name}{{application="{application.name}"}} {value(application)}'
    for name, (meaning, counts) in _COUNTERS.items():
        yield f"# HELP {_PREFIX}_{name} {meaning}"
        yield f"# TYPE {_PREFIX}_{name} counter"
        for application in applications:
            for result, count in sorted(counts(application).items()):
                yield f'{_PREFIX}_{name}{{application="{application.name}",result="{result}"}} {count}'
