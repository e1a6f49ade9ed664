"""A rolling restart of two replicas under load: no review may fail.

The client keeps its connections as an API server does, and learns of an endpoint's end as late as kube-proxy does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import ssl
import sys
import tempfile
import time
from pathlib import Path

import attrs
from bench_serving import review
from load import Client, LostError
from servers import Process, certificate, free_port, ours

LAG = 1.0
"""Seconds until the rules of a Service follow the readiness of a pod."""
DRAIN = 3.0
"""Seconds that a stopping replica continues to serve: longer than the lag, as in the chart."""
CLIENTS = 8
REPLICAS = 2


@attrs.define
class Service:
    """Two replicas, and the ports that get new connections."""

    directory: Path
    context: ssl.SSLContext
    ready: list[int] = attrs.field(factory=list)
    running: list[Process] = attrs.field(factory=list)
    restarts: int = 0

    def endpoint(self) -> int:
        """Choose where a new connection goes."""
        return random.choice(self.ready)  # noqa: S311 - no secret

    async def add(self) -> None:
        """Start a replica, which gets connections once it is ready."""
        options = ["--drain", str(DRAIN), "--log-level", "error"]
        process = await asyncio.to_thread(ours, self.directory, self.context, *options, port=free_port())
        self.running.append(process)
        self.ready.append(process.port)

    async def remove(self) -> None:
        """Ask the oldest replica to stop, and remove it from the rules after the lag."""
        process = self.running.pop(0)
        process.process.terminate()
        await asyncio.sleep(LAG)
        self.ready.remove(process.port)
        code = await asyncio.to_thread(process.process.wait, 30)
        if code:
            raise RuntimeError(f"a replica ended with {code}")
        self.restarts += 1


async def roll(service: Service, body: bytes, requests: int) -> dict[str, int]:
    """Send so many reviews while both replicas are replaced, until both are done; return the outcome of each review."""
    ends: dict[str, int] = {}

    def wanted() -> bool:
        return not replacing.done() and (sum(ends.values()) < requests or service.restarts < REPLICAS)

    async def work() -> None:
        client = Client(service.context, service.endpoint)
        while wanted():
            try:
                status, answer = await client.post(body)
                end = "ok" if status == 200 and json.loads(answer)["response"]["allowed"] else f"HTTP {status}"
            except (LostError, OSError, asyncio.IncompleteReadError) as error:
                end = f"{type(error).__name__} {error}"
            ends[end] = ends.get(end, 0) + 1

    async def replace() -> None:
        while True:
            await service.add()
            await service.remove()

    replacing = asyncio.create_task(replace())
    await asyncio.gather(*(work() for _ in range(CLIENTS)))
    if replacing.done():
        replacing.result()
    replacing.cancel()
    return ends


async def run(requests: int) -> int:
    """Run the restart under load and print the outcome."""
    with tempfile.TemporaryDirectory() as folder, certificate(Path(folder)) as context:
        service = Service(Path(folder), context)
        await service.add()
        await service.add()
        started = time.perf_counter()
        try:
            ends = await roll(service, review(), requests)
        finally:
            for process in service.running:
                process.stop()
    seconds = time.perf_counter() - started
    failed = {end: count for end, count in ends.items() if end != "ok"}
    print(
        f"{sum(ends.values())} reviews in {seconds:.0f} s over {service.restarts} restarts: {sum(failed.values())} failed {failed or ''}"
    )
    return 1 if failed or not service.restarts else 0


def main() -> int:
    """Run with the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--requests", type=int, default=50_000, help="reviews to send (%(default)s)")
    return asyncio.run(run(parser.parse_args().requests))


if __name__ == "__main__":
    sys.exit(main())
