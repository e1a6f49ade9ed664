"""Measures the webhook beside an application with a constant response, on the same server and in the same run."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import ssl
import statistics
import sys
import tempfile
from pathlib import Path

from bench_admission import SEVEN, pod
from load import closed_loop, new_connections, open_loop, stampede
from servers import beside, certificate, constant, ours

from bench_table import Figure, table

ROUNDS = 7
REQUESTS = 1600
CONNECTIONS = 8
REVIEWS = 20_000
NEW = 300


def main() -> int:
    """Measure and print. The servers share one core and the client has the other, as on a node with two cores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--beside",
        metavar="COMMAND",
        help="also measure this webhook; {port} and {directory} in it stand for its port and the directory of its key pair, and "
        "it answers POST /mutate and GET /readyz over TLS",
    )
    options = parser.parse_args()
    if len(os.sched_getaffinity(0)) > 1:
        os.sched_setaffinity(0, {0})
    body = review()
    with tempfile.TemporaryDirectory() as folder, certificate(Path(folder)) as context:
        webhook = ours(Path(folder), context, "--log-level", "warning")
        answer = json.loads(asyncio.run(first_answer(context, webhook.port, body)))
        other = constant(Path(folder), context, answer)
        third = beside(options.beside, Path(folder), context) if options.beside else None
        try:
            if len(os.sched_getaffinity(0)) < (os.cpu_count() or 1):
                os.sched_setaffinity(0, {1})
            figures = throughput(context, webhook.port, other.port, body)
            varied = asyncio.run(
                closed_loop(context, webhook.port, body, clients=CONNECTIONS, requests=4 * REQUESTS, varied=b"x" * 24)
            )
            figures.append(Figure("webhook, no two pods identical", varied, "a second", at_least=1000))
            if third is not None:
                rate = asyncio.run(
                    closed_loop(context, third.port, body, clients=CONNECTIONS, requests=4 * REQUESTS, varied=b"x" * 24)
                )
                figures += [
                    Figure("the other webhook, no two pods identical", rate, "a second"),
                    Figure("webhook against the other", varied / rate, "x", at_least=1.1),
                ]
            figures += connecting(context, webhook.port, other.port, body)
            latencies = asyncio.run(open_loop(context, webhook.port, body, rate=200, seconds=10))
            figures.append(Figure("p99 at 200 a second", latencies[len(latencies) * 99 // 100] * 1000, "ms", at_most=2))
            asyncio.run(
                closed_loop(context, webhook.port, body, clients=CONNECTIONS, requests=REVIEWS, varied=b"x" * 24)
            )
            figures.append(Figure(f"resident after {REVIEWS:,} reviews", webhook.resident(), "MiB", at_most=60))
            crowd = min(asyncio.run(stampede(context, webhook.port, body, 100)) for _ in range(3))
            figures.append(Figure("100 new connections", crowd, "s", at_most=1))
            figures.append(Figure("resident after those", webhook.resident(), "MiB"))
            figures.append(Figure("start to ready", webhook.seconds_to_ready, "s", at_most=1.5))
            return table("serving", figures)
        finally:
            for process in (webhook, other, third):
                if process is not None:
                    process.stop()


def throughput(context: object, ours_at: int, other_at: int, body: bytes) -> list[Figure]:
    """Measure both alternately; return the median of each, and of their ratios."""
    pairs = []
    for _ in range(ROUNDS):
        rates = [
            asyncio.run(closed_loop(context, port, body, clients=CONNECTIONS, requests=REQUESTS))  # type: ignore[arg-type]
            for port in (ours_at, other_at)
        ]
        pairs.append(rates)
    mine, constants = (statistics.median(rates) for rates in zip(*pairs, strict=True))
    ratio = statistics.median(one / two for one, two in pairs)
    return [
        Figure("constant answer", constants, "a second"),
        Figure("webhook", mine, "a second", at_least=1000),
        Figure("webhook against constant", ratio, "x", at_least=0.85),
    ]


def connecting(context: ssl.SSLContext, ours_at: int, other_at: int, body: bytes) -> list[Figure]:
    """Measure reviews on new connections, both alternately; return their rates, the ratio and the slowest."""
    pairs = []
    mine: list[float] = []
    others: list[float] = []
    for _ in range(ROUNDS):
        one = asyncio.run(new_connections(context, ours_at, body, NEW))
        two = asyncio.run(new_connections(context, other_at, body, NEW))
        pairs.append((statistics.median(one), statistics.median(two)))
        mine += one
        others += two
    ratio = statistics.median(two / one for one, two in pairs)
    return [
        Figure("new connection and review, constant answer", statistics.median(others) * 1000, "ms"),
        Figure("new connection and review", statistics.median(mine) * 1000, "ms"),
        Figure("new connections, speed against constant", ratio, "x", at_least=0.95),
        Figure("p99.9 of new connections, constant answer", sorted(others)[len(others) * 999 // 1000] * 1000, "ms"),
        Figure("p99.9 of new connections", sorted(mine)[len(mine) * 999 // 1000] * 1000, "ms", at_most=30),
    ]


async def first_answer(context: object, port: int, body: bytes) -> bytes:
    """Return the webhook's response."""
    from load import Client

    _, answer = await Client(context, lambda: port).post(body)  # type: ignore[arg-type]
    return answer


def review() -> bytes:
    """Return a review of a pod of 6 kB with seven annotations."""
    raw = pod(SEVEN, containers=4, variables=24)
    request = {
        "uid": "a52d9b5e-4b4a-4b63-9d0b-1f0b6a6f2b1e",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "namespace": "shop",
        "operation": "CREATE",
        "object": {"apiVersion": "v1", "kind": "Pod", **raw},
        "dryRun": False,
    }
    return json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}).encode()


if __name__ == "__main__":
    sys.exit(main())
