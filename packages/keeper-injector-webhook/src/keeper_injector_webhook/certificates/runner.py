"""Runs the program that keeps the certificate right, now and then, and never lets it hurt the serving process."""

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

DEADLINE = 60.0
"""Seconds for one run."""
SHORTEST_WAIT, LONGEST_WAIT = 2.0, 600.0
"""Seconds between runs that fail; they double."""


@attrs.frozen
class CertificateJob:
    """How to run the program, and whom to tell."""

    arguments: Sequence[str]
    metrics: Metrics
    renewed: Callable[[], object]
    """Called after each good run."""

    async def run_once(self) -> float | None:
        """Run it to its end or its deadline; returns the seconds until the next run, None after a failure."""
        command = (sys.executable, "-m", "keeper_injector_webhook.certificates.reconcile", *self.arguments)
        try:
            process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        except OSError as error:  # no process or no memory is to be had now
            log.warning("certificate.unstarted", extra={"cause": error.strerror})
            self.metrics.certificate_run("failed")
            return None
        try:
            output, _ = await asyncio.wait_for(process.communicate(), DEADLINE)
        except TimeoutError:
            log.warning("certificate.overdue", extra={"deadline_seconds": DEADLINE})
            output = b""
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        good = process.returncode == 0
        self.metrics.certificate_run("ok" if good else "failed")
        if not good:
            return None
        self.renewed()
        return float(json.loads(output)["again_in_seconds"])

    async def until_first(self) -> float:
        """Run it until it succeeds for the first time; returns the seconds until the next run."""
        wait = SHORTEST_WAIT
        while (again := await self.run_once()) is None:
            await asyncio.sleep(wait * random.uniform(0.5, 1))  # noqa: S311 - no secret
            wait = min(wait * 2, LONGEST_WAIT)
        return again

    async def keep(self, again: float) -> None:
        """Go on for ever; replicas that started together come apart."""
        while True:
            await asyncio.sleep(again * random.uniform(0.8, 1))  # noqa: S311 - no secret
            again = await self.until_first()
