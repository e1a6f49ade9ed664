"""Retries: what is retried, how often, and how long the waits are."""

from __future__ import annotations

import pytest

from keeper_injector_agent.errors import PermanentVaultError, ThrottledError, TransientSyncError, TransientVaultError
from keeper_injector_agent.retry import call_with_retries
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
    assert call_with_retries(call, deadline=60.0, sleep=waits.append) == "done"
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
        call_with_retries(call, deadline=60.0)
    assert call.calls == 1


@pytest.mark.parametrize(("deadline", "attempts", "calls"), [(60.0, 3, 3), (0.0, 12, 1)], ids=["attempts", "deadline"])
def test_attempts_and_time_are_limited(deadline: float, attempts: int, calls: int) -> None:
    """When a limit is reached, the error of the last attempt is raised."""
    call = Flaky(*(TransientVaultError(str(number)) for number in range(1, 20)))
    with pytest.raises(TransientVaultError, match=f"^{calls}$"):
        call_with_retries(call, deadline=deadline, attempts=attempts, sleep=lambda _: None)
    assert call.calls == calls
