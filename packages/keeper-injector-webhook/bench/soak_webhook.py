"""Hostile reviews and clients together with a normal load: no normal review may fail, and the memory stays bounded.

`hostile.py` has the inputs. Beside them, one namespace sends legal reviews without a pause. A normal review, of another namespace, fails
if it is not allowed within the API servers' timeout.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import re
import ssl
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import attrs
import orjson
from bench_serving import review
from hostile import CLIENTS, KIB, REVIEWS, post
from load import Client, LostError
from servers import Process, certificate, free_port, ours

from bench_table import Figure, table

TIMEOUT = 5.0
"""Seconds after which an API server gives up (chart value timeoutSeconds)."""
MEMORY = 128.0
"""MiB that the webhook may need, half of the chart's limit."""
LOST = (LostError, OSError, TimeoutError, asyncio.IncompleteReadError)
WORKERS = 4
CROWD = 8
"""Clients that send reviews of one namespace without a pause."""
EVERY = 0.05
"""Seconds between two reviews of a worker of the normal load, and between two hostile reviews."""


@attrs.define
class Soak:
    """A webhook under attack, and what became of the requests."""

    webhook: Process
    context: ssl.SSLContext
    until: float
    only: tuple[str, ...] = ("",)
    """An input takes part if one of these is in its name."""
    at_once: int = 1
    """Hostile clients that run at the same time."""
    probes: int = 0
    """The port with the metrics."""
    started: float = attrs.field(factory=time.perf_counter)
    current: Counter[str] = attrs.field(factory=Counter)
    """Hostile clients that run now."""
    latencies: list[float] = attrs.field(factory=list)
    failures: Counter[str] = attrs.field(factory=Counter)
    attacks: Counter[str] = attrs.field(factory=Counter)
    greedy: int = 0
    """Reviews of the namespace that floods the webhook."""
    memory: float = 0.0

    def is_over(self) -> bool:
        """Return whether the time is over or the webhook has ended."""
        return time.perf_counter() > self.until or self.webhook.process.poll() is not None

    def is_chosen(self, name: str) -> bool:
        """Return whether an input takes part."""
        return any(word in name for word in self.only)

    async def load(self, number: int) -> None:
        """Send normal reviews of pods that differ; every other worker opens a connection for each."""
        client = Client(self.context, lambda: self.webhook.port)
        body = review()
        for count in itertools.count():
            if self.is_over():
                break
            started = time.perf_counter()
            try:
                varied = body.replace(b"x" * 24, f"{number}-{count}".zfill(24).encode(), 1)
                status, answer = await asyncio.wait_for(client.post(varied), TIMEOUT)
                if status != 200 or not orjson.loads(answer)["response"]["allowed"]:
                    self.failures[f"HTTP {status}"] += 1
            except LOST as error:
                self.failures[f"{type(error).__name__} {error}".strip()] += 1
                client.drop()
            self.latencies.append(time.perf_counter() - started)
            if number % 2:
                client.drop()
            await asyncio.sleep(EVERY)
        client.drop()

    async def crowd(self, number: int) -> None:
        """Send legal reviews of one namespace as fast as they are answered, as a controller that creates pods without end does."""
        client = Client(self.context, lambda: self.webhook.port)
        body = review().replace(b'"namespace": "shop"', b'"namespace": "greedy"')
        for count in itertools.count():
            if self.is_over():
                break
            varied = body.replace(b"x" * 24, f"{number}.{count}".zfill(24).encode(), 1)
            try:
                await asyncio.wait_for(client.post(varied), TIMEOUT)
                self.greedy += 1
            except LOST:
                client.drop()
        client.drop()

    async def flood(self) -> None:
        """Send the hostile reviews in turns."""
        chosen = {name: body for name, body in REVIEWS.items() if self.is_chosen(f"reviews: {name}")}
        for number in itertools.count():
            for name, body in chosen.items():
                if self.is_over():
                    return
                with contextlib.suppress(*LOST):
                    await post(self.context, self.webhook.port, body(number))
                self.attacks[name] += 1
                await asyncio.sleep(EVERY)
            if not chosen:
                return

    async def besiege(self, first: int) -> None:
        """Run the hostile clients in turns, from one that differs with *first*."""
        chosen = [(name, attack) for name, attack in CLIENTS.items() if self.is_chosen(f"clients: {name}")]
        first = first * len(chosen) // self.at_once
        while chosen and not self.is_over():
            for name, attack in chosen[first:] + chosen[:first]:
                if self.is_over():
                    return
                self.current[name] += 1
                await attack(self.context, self.webhook.port)
                self.current[name] -= 1
                self.attacks[name] += 1

    async def watch(self) -> None:
        """Note the most memory that the webhook had: the kernel keeps it, so that no short peak is missed."""
        while not self.is_over():
            self.memory = self.webhook.most_resident()
            await asyncio.sleep(0.1)

    async def follow(self, every: float) -> None:
        """Print what the webhook holds, every so many seconds."""
        print(
            f"{'seconds':>7} {'VmRSS':>6} {'VmHWM':>6} {'connections':>11} {'in flight':>10} {'unread':>7} {'failed':>6}  MiB; KiB; attacks"
        )
        while not self.is_over():
            await asyncio.sleep(every)
            with contextlib.suppress(*LOST):
                values = await asyncio.wait_for(gauges(self.probes), TIMEOUT)
                flying, unread = (
                    values[f"keeper_injector_{name}"] / KIB for name in ("bytes_in_flight", "unread_bytes")
                )
                print(
                    f"{time.perf_counter() - self.started:7.1f} {self.webhook.resident():6.1f} {self.webhook.most_resident():6.1f}"
                    f" {values['keeper_injector_connections']:11.0f} {flying:10.0f} {unread:7.0f} {self.failures.total():6}"
                    f"  {'; '.join(sorted(+self.current))}",
                    flush=True,
                )

    async def run(self, every: float) -> None:
        """Run everything together until the time is over, and follow it every so many seconds; never with 0."""
        crowds = map(self.crowd, range(CROWD if self.is_chosen("crowd") else 0))
        following = [self.follow(every)] if every else []
        sieges = map(self.besiege, range(self.at_once))
        await asyncio.gather(*map(self.load, range(WORKERS)), *crowds, *sieges, *following, self.flood(), self.watch())


async def gauges(port: int) -> dict[str, float]:
    """Return the metrics without labels, from the port for probes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        text = (await reader.read()).decode()
    finally:
        writer.close()
    return {name: float(value) for name, value in re.findall(r"^(\w+) (\S+)$", text, re.MULTILINE)}


def report(soak: Soak) -> int:
    """Print the figures and return the exit code."""
    for name, count in soak.attacks.items():
        print(f"  {count:6,} times {name}")
    for name, count in soak.failures.items():
        print(f"  failed {count:6,} times {name}")
    latencies = sorted(soak.latencies)
    alive = soak.webhook.process.poll() is None
    return table(
        "soak webhook",
        [
            Figure("normal reviews", len(latencies), "", at_least=1),
            Figure("of these failed", soak.failures.total(), "", at_most=0),
            Figure("reviews of a namespace that floods, beside them", soak.greedy, ""),
            Figure("median", latencies[len(latencies) // 2] * 1000, "ms"),
            Figure("p99 beside everything else", latencies[len(latencies) * 99 // 100] * 1000, "ms"),
            Figure("slowest", latencies[-1] * 1000, "ms", at_most=TIMEOUT * 1000),
            Figure("most resident memory", soak.memory, "MiB", at_most=MEMORY),
            Figure("webhook still runs", alive, "", at_least=1),
        ],
    )


def main() -> int:
    """Run with the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (default: %(default)s)")
    parser.add_argument(
        "--only",
        action="append",
        metavar="WORD",
        help="only inputs with this word in their name; the names begin with `clients: ` and `reviews: `; "
        "`crowd` is the namespace that floods; may be repeated",
    )
    parser.add_argument(
        "--at-once",
        type=int,
        default=1,
        metavar="COUNT",
        help="how many hostile clients run at the same time, each of them in turns (default: %(default)s)",
    )
    parser.add_argument(
        "--follow",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="print the webhook's memory, connections and bytes in flight every so many seconds",
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, certificate(Path(folder)) as context:
        probes = free_port()
        webhook = ours(Path(folder), context, "--log-level", "warning", "--probe-port", str(probes))
        until = time.perf_counter() + options.minutes * 60
        soak = Soak(webhook, context, until, tuple(options.only or [""]), options.at_once, probes)
        try:
            asyncio.run(soak.run(options.follow))
            return report(soak)
        finally:
            webhook.stop()


if __name__ == "__main__":
    sys.exit(main())
