"""``keeper-exec --restart-due``, the liveness probe of containers that restart on rotation."""

from __future__ import annotations

import time

import pytest
from exec_shell import Outcome, Shell, assert_rejected


def restart_due(shell: Shell, content: bytes | None, *command: str) -> Outcome:
    """Run the liveness probe with a file of this content, or without one."""
    path = shell.folder / "app"
    path.unlink(missing_ok=True)
    if content is not None:
        path.write_bytes(content)
    return shell.call(["--restart-due", path, *command])


def seconds_since_boot(ago: float) -> bytes:
    """Return the time *ago* seconds before now as the agent writes it."""
    return f"{time.clock_gettime(time.CLOCK_BOOTTIME) - ago:.0f}".encode()


def test_a_restart_is_due_once(shell: Shell) -> None:
    """It is due after its time, if the container started before and has run for long enough. All processes here are one container."""
    assert_rejected(restart_due(shell, seconds_since_boot(2) + b" 0\n"), 1, "the secrets have changed")
    assert restart_due(shell, seconds_since_boot(-60) + b" 0\n").code == 0
    assert restart_due(shell, b"1 0\n").code == 0  # before this container started
    assert restart_due(shell, seconds_since_boot(2) + b" 999999999\n").code == 0


@pytest.mark.parametrize(
    "content",
    [None, b"", b"0 0\n", b"x", b"-5 0\n", b"99999999999999999999999 0\n", b"5", b"5 0", b"5 0 0\n", b"\n" * 99],
)
def test_nothing_else_restarts_a_container(shell: Shell, content: bytes | None) -> None:
    """Neither a missing sidecar nor a damaged file does."""
    assert restart_due(shell, content).code == 0


def test_the_containers_own_probe_decides_otherwise(shell: Shell) -> None:
    assert restart_due(shell, None, "--", "false").code == 1
    assert restart_due(shell, None, "--", "true").code == 0
    assert_rejected(restart_due(shell, seconds_since_boot(2) + b" 0\n", "--", "true"), 1, "the secrets have changed")
    assert_rejected(restart_due(shell, None, "--", "/no/such/program"), 127, "cannot be executed")
    assert_rejected(restart_due(shell, None, "true"), 64, "write -- and a command")
