r"""Measures the webhook beside an application with a constant response, on the same server and in the same run.

The servers share one core and the client has the other, as on a node with two cores. Every part has a time limit. The time of the
CPU for one review is measured too, because it hardly depends on what else the machine does.

Another webhook can be measured in the same run. vault-k8s starts outside a cluster if it finds a token and an API server, and injects
if the pods have its annotations::

    git clone https://github.com/hashicorp/vault-k8s && (cd vault-k8s && go build -o /tmp/vault-k8s .)
    sudo ./tools/run bench serving \
        --annotation vault.hashicorp.com/agent-inject=true --annotation vault.hashicorp.com/role=app \
        --annotation vault.hashicorp.com/agent-inject-secret-db=database-credentials \
        --beside "unshare --mount sh -c 'mount -t tmpfs none /run && cd /run && mkdir -p secrets/kubernetes.io/serviceaccount && \
            cp {directory}/ca.crt secrets/kubernetes.io/serviceaccount && echo token >secrets/kubernetes.io/serviceaccount/token && \
            KUBE_FEATURE_WatchListClient=false KUBERNETES_SERVICE_HOST=127.0.0.1 KUBERNETES_SERVICE_PORT={api} \
            exec /tmp/vault-k8s agent-inject -listen 127.0.0.1:{port} -tls-cert-file {directory}/tls.crt \
            -tls-key-file {directory}/tls.key -vault-address https://vault:8200 -log-level error'"
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from pathlib import Path

import attrs
from bench_admission import SEVEN, pod
from load import Client, LostError, closed_loop, new_connections, open_loop, stampede
from servers import Process, api_server, beside, certificate, constant, ours

from bench_table import Figure, table

ROUNDS = 7
REQUESTS = 1600
CONNECTIONS = 8
REVIEWS = 20_000
NEW = 300
RATE = 200
SECONDS = 5
"""Duration of each round at a constant rate."""
VARIED = b"x" * 24
"""The first value of a variable, which is replaced so that no two pods are identical."""
TOKEN = "kube-api-access-x7k2p"  # noqa: S105 - the name of a volume
LONGEST_PART = 240.0
"""Seconds after which a part of the benchmark is abandoned."""
MICROSECONDS = 1e6
MILLISECONDS = 1e3


@attrs.frozen
class Bench:
    """The servers under test, and what they are sent."""

    context: ssl.SSLContext
    body: bytes
    webhook: Process
    constant: Process
    other: Process | None

    async def rate(self, server: Process, *, varied: bytes = b"", requests: int = REQUESTS) -> tuple[float, float]:
        """Return the requests per second of a few clients, and the CPU time that the server takes for one."""
        before = server.cpu()
        found = await closed_loop(
            self.context, server.port, self.body, clients=CONNECTIONS, requests=requests, varied=varied
        )
        return found, (server.cpu() - before) / (requests + CONNECTIONS)


async def alike(bench: Bench) -> list[Figure]:
    """Send identical reviews to the webhook and the constant application alternately; return medians."""
    rounds = [(await bench.rate(bench.webhook), await bench.rate(bench.constant)) for _ in range(ROUNDS)]
    return [
        Figure("identical pods, constant answer", statistics.median(two[0] for _, two in rounds), "a second"),
        Figure("identical pods", statistics.median(one[0] for one, _ in rounds), "a second", at_least=1000),
        Figure(
            "identical pods, against constant",
            statistics.median(one[0] / two[0] for one, two in rounds),
            "x",
            at_least=0.85,
        ),
        Figure("CPU time, constant answer", statistics.median(two[1] for _, two in rounds) * MICROSECONDS, "µs"),
        Figure("CPU time, identical pods", statistics.median(one[1] for one, _ in rounds) * MICROSECONDS, "µs"),
    ]


async def different(bench: Bench) -> list[Figure]:
    """Send reviews of which no two are identical, to the other webhook too; return medians."""
    mine, others = [], []
    for _ in range(ROUNDS):
        mine.append(await bench.rate(bench.webhook, varied=VARIED))
        if bench.other is not None:
            others.append(await bench.rate(bench.other, varied=VARIED))
    figures = [
        Figure("different pods", statistics.median(one[0] for one in mine), "a second", at_least=1000),
        Figure("CPU time, different pods", statistics.median(one[1] for one in mine) * MICROSECONDS, "µs"),
    ]
    if others:
        ratio = statistics.median(one[0] / two[0] for one, two in zip(mine, others, strict=True))
        figures += [
            Figure("different pods, other webhook", statistics.median(two[0] for two in others), "a second"),
            Figure(
                "CPU time, different pods, other webhook",
                statistics.median(two[1] for two in others) * MICROSECONDS,
                "µs",
            ),
            Figure("different pods, against the other webhook", ratio, "x", at_least=1.1),
        ]
    return figures


async def connecting(bench: Bench) -> list[Figure]:
    """Send each review on a new connection, to both alternately; return medians, the ratio and the slowest."""
    pairs = []
    mine: list[float] = []
    others: list[float] = []
    before = bench.webhook.cpu(), bench.constant.cpu()
    for _ in range(ROUNDS):
        one = await new_connections(bench.context, bench.webhook.port, bench.body, NEW)
        two = await new_connections(bench.context, bench.constant.port, bench.body, NEW)
        pairs.append((statistics.median(one), statistics.median(two)))
        mine += one
        others += two
    ratio = statistics.median(two / one for one, two in pairs)
    own, other = (
        (now - then) / (ROUNDS * NEW)
        for now, then in zip((bench.webhook.cpu(), bench.constant.cpu()), before, strict=True)
    )
    return [
        Figure("CPU time, new connection and review, constant answer", other * MICROSECONDS, "µs"),
        Figure("CPU time, new connection and review", own * MICROSECONDS, "µs"),
        Figure("new connection and review, constant answer", statistics.median(others) * MILLISECONDS, "ms"),
        Figure("new connection and review", statistics.median(mine) * MILLISECONDS, "ms"),
        Figure("new connections, speed against constant", ratio, "x", at_least=0.95),
        Figure("p99.9 of new connections, constant answer", quantile(others, 0.999) * MILLISECONDS, "ms"),
        Figure("p99.9 of new connections", quantile(mine, 0.999) * MILLISECONDS, "ms", at_most=30),
    ]


async def steady(bench: Bench) -> list[Figure]:
    """Send reviews at a constant rate, to both alternately; return how long the slowest of a hundred takes."""
    mine: list[float] = []
    others: list[float] = []
    for _ in range(2):
        mine += await open_loop(bench.context, bench.webhook.port, bench.body, rate=RATE, seconds=SECONDS)
        others += await open_loop(bench.context, bench.constant.port, bench.body, rate=RATE, seconds=SECONDS)
    return [
        Figure(f"p99 at {RATE} a second, constant answer", quantile(others, 0.99) * MILLISECONDS, "ms"),
        Figure(f"p99 at {RATE} a second", quantile(mine, 0.99) * MILLISECONDS, "ms", at_most=2),
    ]


async def lasting(bench: Bench) -> list[Figure]:
    """Send many reviews of different pods; return the memory afterwards."""
    await bench.rate(bench.webhook, varied=VARIED, requests=REVIEWS)
    resident = bench.webhook.resident()
    crowd = [await stampede(bench.context, bench.webhook.port, bench.body, 100) for _ in range(3)]
    return [
        Figure(f"resident after {REVIEWS:,} reviews", resident, "MiB", at_most=60),
        Figure("100 new connections at once", min(crowd), "s", at_most=1),
        Figure("resident after those", bench.webhook.resident(), "MiB"),
        Figure("start to ready", bench.webhook.seconds_to_ready, "s", at_most=1.5),
    ]


PARTS: tuple[Callable[[Bench], Coroutine[None, None, list[Figure]]], ...] = (
    alike,
    different,
    connecting,
    steady,
    lasting,
)


def quantile(values: list[float], part: float) -> float:
    """Return the value that this *part* of *values* does not exceed."""
    return sorted(values)[int(len(values) * part)]


def measured(part: Callable[[Bench], Coroutine[None, None, list[Figure]]], bench: Bench) -> list[Figure]:
    """Run one part of the benchmark, with progress on standard error; a part that fails is a figure that misses its budget."""
    name = part.__name__
    print(f"{name} …", end="", file=sys.stderr, flush=True)
    started = time.perf_counter()
    try:
        return asyncio.run(asyncio.wait_for(part(bench), LONGEST_PART))
    except (TimeoutError, OSError, LostError, RuntimeError) as error:
        return [Figure(f"{name}: {type(error).__name__} {error}".rstrip(), math.nan, "", at_most=0)]
    finally:
        print(f" {time.perf_counter() - started:.0f} s", file=sys.stderr)


def pin(core: int) -> None:
    """Keep this process, and those that it starts, on one core if there are several."""
    if (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {core})


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--beside",
        metavar="COMMAND",
        help="also measure this webhook, which answers POST /mutate over TLS; in the command, {port} stands for its port, {directory} "
        "for the directory of its key pair, and {api} for the port of an API server without objects",
    )
    parser.add_argument(
        "--annotation", metavar="NAME=TEXT", action="append", default=[], help="add an annotation to the pods"
    )
    parser.add_argument("--only", metavar="PART", choices=[part.__name__ for part in PARTS], help="run one part only")
    options = parser.parse_args()
    body = review(dict(text.split("=", 1) for text in options.annotation))
    pin(0)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        context = stack.enter_context(certificate(folder))

        def running(process: Process) -> Process:
            stack.callback(process.stop)
            return process

        webhook = running(ours(folder, context, "--log-level", "warning"))
        answer = json.loads(asyncio.run(first_answer(context, webhook.port, body)))
        other = None
        if options.beside:
            api = running(api_server(folder, context))
            other = running(beside(options.beside, folder, context, api.port))
        if other is not None and b'"patch"' not in asyncio.run(first_answer(context, other.port, body)):
            parser.error("the other webhook does not inject into the pods; add its annotations with --annotation")
        bench = Bench(context, body, webhook, running(constant(folder, context, answer)), other)
        pin(1)
        parts = [part for part in PARTS if options.only in {None, part.__name__}]
        return table("serving", [figure for part in parts for figure in measured(part, bench)])


async def first_answer(context: ssl.SSLContext, port: int, body: bytes) -> bytes:
    """Return the webhook's response."""
    client = Client(context, lambda: port)
    _, answer = await client.post(body)
    client.drop()
    return answer


def review(annotations: dict[str, str] | None = None) -> bytes:
    """Return a review of a pod of 6 kB with seven annotations, and more *annotations* of others.

    As in each pod of a cluster, the API server has added a volume with a token, which each container mounts.
    """
    raw = pod(SEVEN, containers=4, variables=24)
    raw["metadata"]["annotations"] |= annotations or {}
    raw["spec"]["volumes"] = [{"name": TOKEN, "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}]
    for container in raw["spec"]["containers"]:
        container["volumeMounts"] = [
            {"name": TOKEN, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": True}
        ]
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
