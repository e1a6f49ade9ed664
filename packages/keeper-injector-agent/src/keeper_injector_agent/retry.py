"""Retries calls that failed with a transient error, after growing random waits, within limits of attempts and time.

This is the only module that decides what is retried and how often. Kubernetes shows why an init container failed only after it
has ended, and the kubelet repeats it: at once, and then 10, 20, 40 … 300 seconds after each end. So a first start ends within
seconds, and shows the reason. Later starts stay longer, because the reason of the one before is still shown, and because the
kubelet's pauses grow. ``test_retry.py`` computes the result: after an outage of two minutes, a pod waits for at most another 35
seconds. If every start were short, it would be 60 seconds, and if every start were long, the reason would be hidden for a minute.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from keeper_injector_agent.errors import ThrottledError, TransientSyncError, TransientVaultError
from keeper_injector_common.errors import KeeperInjectorError

if TYPE_CHECKING:
    import tenacity

log = logging.getLogger(__name__)
T = TypeVar("T")


class RetryLimits(NamedTuple):
    """How often a call is attempted, and for how many seconds after its start a retry may begin."""

    attempts: int
    seconds: float
    patience: float
    """Seconds that one attempt waits for an answer of Keeper."""


LONGEST_PATIENCE = 30.0
"""Seconds that are enough for the records of a large application, also from a Keeper that has just recovered."""
FIRST_START = RetryLimits(5, 5.0, patience=8.0)
"""Of an init container that has not failed before."""
LATER_START = RetryLimits(12, 60.0, LONGEST_PATIENCE)
"""Of an init container that has failed before, or that nobody repeats because the pod has ``restartPolicy: Never``."""
START_WITH_FILES = RetryLimits(1, 0.0, FIRST_START.patience)
"""Of an init container whose files all exist from an earlier run: the pod can start with them."""
REFRESH = RetryLimits(3, 60.0, LONGEST_PATIENCE)
"""Of the sidecar: its files stay in place, and the next refresh comes anyway."""
DOWNLOAD_ATTEMPTS = 3
"""Attempts per attachment."""
CREDENTIAL_ATTEMPTS = 5
"""Attempts to read the KSM configuration. A cloud's metadata server may start after the pod."""

_SHORTEST_WAIT = 0.5
_LONGEST_WAIT = 20.0


def initial_limits(*, complete: bool, failed_before: bool, restarts: bool) -> RetryLimits:
    """Return the limits of the init container.

    *complete*: all files exist. *failed_before*: an earlier run in this pod failed. *restarts*: the kubelet repeats a run
    that failed.
    """
    if complete:
        return START_WITH_FILES
    return LATER_START if failed_before or not restarts else FIRST_START


def call_with_retries(
    call: Callable[[], T],
    *,
    deadline: float,
    attempts: int = LATER_START.attempts,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Return the result of *call*, which is retried after a transient error, for at most *deadline* seconds from now.

    Waits are exponential with full jitter (each is uniformly random up to a doubling bound), so that pods that failed
    together do not retry together. A throttled call is not retried here: Keeper extends its window with each request.
    When the limits are reached, raises the error of the last attempt.
    """
    started = time.monotonic()
    try:
        return call()
    except KeeperInjectorError as error:
        if not _is_transient(error):
            raise
        failures = [error]
    return _retry(call, failures, deadline - (time.monotonic() - started), attempts, sleep)


def _retry(
    call: Callable[[], T],
    failures: list[KeeperInjectorError],
    deadline: float,
    attempts: int,
    sleep: Callable[[float], None],
) -> T:
    """Continue after the first attempt, whose error is in *failures*."""
    import tenacity  # imported only after a failure: most calls succeed at once, and the import takes 8 ms

    def attempt() -> T:
        if failures:
            raise failures.pop()
        return call()

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(_is_transient),
        wait=tenacity.wait_random_exponential(multiplier=_SHORTEST_WAIT, max=_LONGEST_WAIT),
        stop=tenacity.stop_after_attempt(attempts) | tenacity.stop_before_delay(deadline),
        before_sleep=_log_retry,
        sleep=sleep,
        reraise=True,
    )
    return retrying(attempt)


def _is_transient(error: BaseException) -> bool:
    return isinstance(error, TransientVaultError | TransientSyncError) and not isinstance(error, ThrottledError)


def _log_retry(state: tenacity.RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    wait = state.next_action.sleep if state.next_action else 0.0
    log.warning(
        "retry.scheduled",
        extra={"attempt": state.attempt_number, "wait_seconds": round(wait, 2), "cause": str(error)},
    )
