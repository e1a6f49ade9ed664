"""The loop of the relay: polls one application after the other, and writes what a web server serves about itself.

It is one thread. If Keeper hangs, every application waits for a poll that ends at its deadline. What is published stays.
"""

from __future__ import annotations

import logging
import os
import random
import select
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs

from keeper_injector_agent.errors import ThrottledError, VaultError
from keeper_injector_agent.relay.application import Application
from keeper_injector_agent.relay.metrics import as_prometheus
from keeper_injector_agent.relay.publication import READABLE
from keeper_injector_agent.whole_files import replace_file

log = logging.getLogger(__name__)

READY_NAME = "ready"
METRICS_NAME = "metrics"
_JITTER = 0.1
_LONGEST_WAIT = 300.0
"""Seconds; the longest wait after failures, unless the interval or Keeper's throttle is longer."""


@attrs.define
class _Scheduled:
    application: Application
    due: float
    failures: int = 0


class Relay:
    """Polls applications until it is stopped."""

    def __init__(
        self,
        applications: Sequence[Application],
        output: Path,
        *,
        interval: float,
        frozen: Callable[[], frozenset[str]],
    ) -> None:
        """Poll each application every *interval* seconds; *frozen* returns the names of those that must not change.

        After the first poll, the wait is a random part of the interval: replicas that started together do not ask together.
        """
        now = time.monotonic()
        self._scheduled = [_Scheduled(application, now) for application in applications]
        self._output = output
        self._interval = interval
        self._frozen = frozen
        self._wake_in, self._wake_out = os.pipe()
        self._stopping = False
        os.set_blocking(self._wake_out, False)

    def run(self) -> None:
        """Poll until SIGTERM or SIGINT."""
        signal.set_wakeup_fd(self._wake_out, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        (self._output / READY_NAME).unlink(missing_ok=True)
        log.info("relay.started", extra={"applications": len(self._scheduled), "interval_seconds": self._interval})
        while not self._stopping:
            item = min(self._scheduled, key=lambda one: one.due)
            wait = item.due - time.monotonic()
            if wait > 0:
                select.select([self._wake_in], [], [], wait)
                continue
            self._poll(item)
            self._report()
        log.info("relay.stopped")

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _poll(self, item: _Scheduled) -> None:
        application = item.application
        started, is_first = time.monotonic(), not sum(application.polls.values())
        try:
            application.poll(frozen=application.name in self._frozen())
        except ThrottledError as error:
            result, wait = "throttled", max(error.until - time.time(), self._interval)
            log.warning("relay.throttled", extra={"application": application.name, "wait_seconds": round(wait)})
        except (VaultError, OSError) as error:
            item.failures += 1
            result = "failed"
            wait = max(self._interval, min(_LONGEST_WAIT, self._interval * 2 ** min(item.failures - 1, 8)))
            cause = str(error) if isinstance(error, VaultError) else f"{error.filename}: {error.strerror}"
            details = {"application": application.name, "cause": cause, "age_seconds": age(application)}
            log.error("relay.poll_failed", extra=details)  # noqa: TRY400 - the cause is the whole message
        else:
            item.failures = 0
            result, wait = "ok", self._interval
        application.polls[result] += 1
        share = random.random()  # noqa: S311 - spreads requests
        # Replicas that started together do not stay together.
        spread = share if is_first and result == "ok" else 1 - _JITTER + 2 * _JITTER * share
        item.due = started + (wait * spread if result != "throttled" else wait * (1 + share / 4))

    def _report(self) -> None:
        """Write the metrics, and that this process serves all applications as soon as it does."""
        applications = [item.application for item in self._scheduled]
        try:
            replace_file(self._output / METRICS_NAME, as_prometheus(applications).encode(), READABLE)
            if all(application.fetched for application in applications):
                replace_file(self._output / READY_NAME, b"ok\n", READABLE)
        except OSError as error:
            log.error("relay.write_failed", extra={"path": error.filename, "cause": error.strerror})  # noqa: TRY400 - as above


def age(application: Application) -> int | None:
    """Return the age of what is published in seconds; None before the first time."""
    return max(0, round(time.time() - application.fetched)) if application.fetched else None
