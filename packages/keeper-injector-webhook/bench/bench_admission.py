"""Measures how long it takes to decide about a pod and to build its patch, without HTTP and TLS."""

from __future__ import annotations

import json
import sys
import timeit
from typing import Any

from bench_table import Figure, table
from keeper_injector_common.annotations.table import PREFIX
from keeper_injector_webhook.admission import Inject, Pod, build_patch, decide_pod
from keeper_injector_webhook.settings import Settings

SEVEN = {
    "inject": "true",
    "secret": "database-credentials",
    "secret-password": "database-credentials[password]:/app/password",
    "refresh-interval": "5m",
    "fail-on-error": "false",
    "ksm-config": "keeper",
    "signal": "SIGHUP",
}
CONFIG = {
    "inject": "true",
    "config": "secrets:\n" + "".join(f"  - {{record: r{number}, path: /app/{number}.json}}\n" for number in range(5)),
}
SETTINGS = Settings()
MICROSECONDS = 1e6


def pod(annotations: dict[str, str], containers: int, variables: int) -> dict[str, Any]:
    """Return a pod with so many containers, each with so many environment variables."""
    environment = [{"name": f"VARIABLE_{number}", "value": "x" * 24} for number in range(variables)]
    return {
        "metadata": {
            "generateName": "web-",
            "annotations": {PREFIX + name: text for name, text in annotations.items()},
        },
        "spec": {
            "containers": [{"name": f"c{number}", "image": "app:1", "env": environment} for number in range(containers)]
        },
    }


def review(raw: dict[str, Any]) -> None:
    """Decide about a pod and build its patch."""
    view = Pod(raw)
    decision = decide_pod(view, SETTINGS, "default")
    if not isinstance(decision, Inject):
        raise TypeError(decision)
    build_patch(view, decision, SETTINGS)


def median(raw: dict[str, Any], number: int) -> float:
    """Return the median time to decide and build the patch, in microseconds."""
    times = sorted(timeit.repeat(lambda: review(raw), number=number, repeat=15))
    return times[len(times) // 2] / number * MICROSECONDS


def first(raw: dict[str, Any]) -> float:
    """Return the median time to decide about annotations that are read for the first time, in microseconds.

    The pods differ in an annotation that the webhook reads: what was read before is kept, and annotations of others are not read.
    """
    times = []
    for number in range(200):
        annotations = {**raw["metadata"]["annotations"], f"{PREFIX}refresh-interval": f"{number + 60}s"}
        fresh = {**raw, "metadata": {**raw["metadata"], "annotations": annotations}}
        times.append(timeit.timeit(lambda fresh=fresh: review(fresh), number=1))
    return sorted(times)[len(times) // 2] * MICROSECONDS


def main() -> int:
    """Measure, print and return the exit code."""
    small, large = pod(SEVEN, 2, 45), pod(SEVEN, 200, 22)
    return table(
        "decide and patch, median",
        [
            Figure(
                f"seven annotations, pod of {len(json.dumps(small)) / 1000:.0f} kB",
                median(small, 300),
                "µs",
                at_most=120,
            ),
            Figure("YAML of five secrets", median(pod(CONFIG, 2, 45), 50), "µs", at_most=300),
            Figure("seven annotations, read for the first time", first(small), "µs"),
            Figure("YAML of five secrets, read for the first time", first(pod(CONFIG, 2, 45)), "µs"),
            Figure(
                f"200 containers, pod of {len(json.dumps(large)) / 1000:.0f} kB", median(large, 20), "µs", at_most=1500
            ),
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
