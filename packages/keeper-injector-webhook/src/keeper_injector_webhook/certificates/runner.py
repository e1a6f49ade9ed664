"""Runs the certificate program as a subprocess of the server, once at start and then whenever it is due.

A subprocess, because the Kubernetes client takes 3 seconds to import and 140 MB. A failed run is logged, counted and retried;
it never stops the server, which continues with the certificate that it has.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import sys
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from keeper_injector_webhook.metrics import Metrics

log = logging.getLogger(__name__)

_DEADLINE = 60.0
"""Seconds that one run may take."""
_SHORTEST_WAIT, _LONGEST_WAIT = 2.0, 600.0
"""Seconds before a failed run is retried: the first wait, and the longest. The wait doubles after each failure."""


@attrs.frozen
class CertificateJob:
    """The certificate program, its arguments, and what to notify of a successful run."""

    arguments: Sequence[str]
    metrics: Metrics
    renewed: Callable[[], object]
    """Called after each successful run."""

    async def run_once(self) -> float | None:
        """Run the program, for at most 60 seconds; return the seconds until the next run is due, or None if it failed."""
        command = (sys.executable, "-m", "keeper_injector_webhook.certificates.reconcile", *self.arguments)
        try:
            process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        except OSError as error:  # the process limit or the memory limit is reached
            log.warning("certificate.spawn_failed", extra={"cause": error.strerror})
            self.metrics.certificate_run("failed")
            return None
        try:
            output, _ = await asyncio.wait_for(process.communicate(), _DEADLINE)
        except TimeoutError:
            log.warning("certificate.timed_out", extra={"deadline_seconds": _DEADLINE})
            output = b""
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        succeeded = process.returncode == 0
        self.metrics.certificate_run("ok" if succeeded else "failed")
        if not succeeded:
            return None
        self.renewed()
        return float(json.loads(output)["next_run_in_seconds"])

    async def run_until_success(self) -> float:
        """Run the program, retrying until it succeeds; return the seconds until the next run is due."""
        wait = _SHORTEST_WAIT
        while (due := await self.run_once()) is None:
            await asyncio.sleep(wait * random.uniform(0.5, 1))  # noqa: S311 - jitter, not a secret
            wait = min(wait * 2, _LONGEST_WAIT)
        return due

    async def run_forever(self, due: float) -> None:
        """Run the program *due* seconds from now and then indefinitely, with jitter so that replicas do not run in lockstep."""
        while True:
            await asyncio.sleep(due * random.uniform(0.8, 1))  # noqa: S311 - jitter, not a secret
            due = await self.run_until_success()
