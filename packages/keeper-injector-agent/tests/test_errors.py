"""Errors: each class has an exit code (sysexits.h)."""

from __future__ import annotations

import os

import pytest

from keeper_injector_agent import errors
from keeper_injector_common.errors import KeeperInjectorError, PlanError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PlanError("x"), os.EX_CONFIG),
        (errors.TransientVaultError("x"), os.EX_TEMPFAIL),
        (errors.ThrottledError("x", until=0.0), os.EX_TEMPFAIL),
        (errors.PermanentVaultError("x"), os.EX_NOPERM),
        (errors.WriteError("x"), os.EX_IOERR),
        (errors.SecretSyncError("x"), os.EX_IOERR),
        (errors.UnexpectedError("x"), os.EX_IOERR),
    ],
    ids=lambda value: type(value).__name__,
)
def test_exit_codes(error: KeeperInjectorError, code: int) -> None:
    """A command that ends with an error exits with the code of its class, as documented in the README."""
    assert error.exit_code == code
