"""Retries: what is retried, how often, and how long the waits are."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_injector_agent.errors import PermanentVaultError, ThrottledError, TransientSyncError, TransientVaultError
from keeper_injector_agent.retry import (
    FIRST_START,
    LATER_START,
    START_WITH_FILES,
    RetryLimits,
    call_with_retries,
    initial_limits,
)
from keeper_injector_common.errors import KeeperInjectorError, PlanError


class Flaky:
    """A call that fails with these errors, one after the other, and then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> str:
        """Fail or succeed."""
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def test_a_transient_error_is_retried() -> None:
    """The result is that of the first attempt that succeeds; the waits before it are random within a doubling bound."""
    call, waits = Flaky(TransientVaultError("1"), TransientSyncError("2"), TransientVaultError("3")), list[float]()
    assert call_with_retries(call, deadline=60.0, attempts=12, sleep=waits.append) == "done"
    assert call.calls == 4
    assert all(0 <= wait <= bound for wait, bound in zip(waits, (0.5, 1.0, 2.0), strict=True))


@pytest.mark.parametrize(
    "error",
    [ThrottledError("wait", until=0.0), PermanentVaultError("no"), PlanError("no")],
    ids=lambda e: type(e).__name__,
)
def test_other_errors_are_raised_at_once(error: KeeperInjectorError) -> None:
    """A retry cannot fix a permanent error, and extends the window of a throttled one."""
    call = Flaky(error)
    with pytest.raises(type(error)):
        call_with_retries(call, deadline=60.0, attempts=12)
    assert call.calls == 1


@pytest.mark.parametrize(("deadline", "attempts", "calls"), [(60.0, 3, 3), (0.0, 12, 1)], ids=["attempts", "deadline"])
def test_attempts_and_time_are_limited(deadline: float, attempts: int, calls: int) -> None:
    """When a limit is reached, the error of the last attempt is raised."""
    call = Flaky(*(TransientVaultError(str(number)) for number in range(1, 20)))
    with pytest.raises(TransientVaultError, match=f"^{calls}$"):
        call_with_retries(call, deadline=deadline, attempts=attempts, sleep=lambda _: None)
    assert call.calls == calls


@pytest.mark.parametrize(
    ("complete", "failed_before", "restarts", "limits"),
    [
        (False, False, True, FIRST_START),
        (False, True, True, LATER_START),
        (False, False, False, LATER_START),
        (True, False, True, START_WITH_FILES),
        (True, True, False, START_WITH_FILES),
    ],
)
def test_a_start_ends_soon_if_it_is_repeated(
    *, complete: bool, failed_before: bool, restarts: bool, limits: RetryLimits
) -> None:
    """A first start shows its reason within seconds; a later one, and one that nobody repeats, tries for a minute."""
    assert initial_limits(complete=complete, failed_before=failed_before, restarts=restarts) == limits


@given(st.integers(0, 2**32), st.sampled_from([(10, 30), (30, 60), (60, 85), (120, 155), (300, 400), (600, 950)]))
def test_an_outage_costs_a_pod_little_more_than_itself(seed: int, outage: tuple[float, float]) -> None:
    """After an outage of two minutes, a pod with the kubelet's growing pauses starts within 35 seconds."""
    until, latest = outage
    pauses = iter([0.0, 10.0, 20.0, 40.0, 80.0, 160.0, *[300.0] * 10])
    random.seed(seed)
    now, failures = 0.0, 0
    while True:
        limits = initial_limits(complete=False, failed_before=failures > 0, restarts=True)
        began = now
        for attempt in range(limits.attempts):
            if now >= until:
                assert now <= latest
                return
            wait = random.uniform(0, min(20.0, 0.5 * 2**attempt))
            if now + wait - began >= limits.seconds:
                break
            now += wait
        failures += 1
        assert failures > 1 or now - began < limits.seconds
        now += next(pauses) + 1.0  # a second for the start of the container
