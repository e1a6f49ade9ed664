"""How failures of Keeper are tried again: transient ones only, with growing random waits, bounded by attempts and time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from keeper_injector_agent.errors import ThrottledError, TransientSyncError, TransientVaultError
from keeper_injector_common.errors import KeeperInjectorError

if TYPE_CHECKING:
    import tenacity

log = logging.getLogger(__name__)
T = TypeVar("T")

SHORTEST_WAIT = 0.5
LONGEST_WAIT = 20.0
MOST_ATTEMPTS = 12


def retried(
    call: Callable[[], T],
    *,
    deadline: float,
    attempts: int = MOST_ATTEMPTS,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Return what *call* returns, trying again after a transient error until *deadline* seconds have passed.

    Waits are exponential with full jitter (each uniformly random up to a doubling bound), so that many pods that failed
    together do not come back together. A throttled call is not tried again here: Keeper's window grows with each request.
    The last error is raised as it was.
    """
    started = time.monotonic()
    try:
        return call()
    except KeeperInjectorError as error:
        if not _may_pass(error):
            raise
        failures = [error]
    return _again(call, failures, deadline - (time.monotonic() - started), attempts, sleep)


def _again(
    call: Callable[[], T],
    failures: list[KeeperInjectorError],
    deadline: float,
    attempts: int,
    sleep: Callable[[float], None],
) -> T:
    """Go on after the first failure."""
    import tenacity  # here, because most refreshes succeed at once and this takes 8 ms

    def attempt() -> T:
        if failures:
            raise failures.pop()
        return call()

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(_may_pass),
        wait=tenacity.wait_random_exponential(multiplier=SHORTEST_WAIT, max=LONGEST_WAIT),
        stop=tenacity.stop_after_attempt(attempts) | tenacity.stop_before_delay(deadline),
        before_sleep=_log_retry,
        sleep=sleep,
        reraise=True,
    )
    return retrying(attempt)


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, TransientVaultError | TransientSyncError) and not isinstance(error, ThrottledError)


def _log_retry(state: tenacity.RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    wait = state.next_action.sleep if state.next_action else 0.0
    log.warning(
        "retry.scheduled",
        extra={"attempt": state.attempt_number, "wait_seconds": round(wait, 2), "cause": str(error)},
    )
