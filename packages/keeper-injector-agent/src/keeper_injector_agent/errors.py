"""The errors of fetching and delivering secrets: the agent's branch of the tree in :mod:`keeper_injector_common.errors`.

::

    KeeperInjectorError
    ├─ VaultError                    Keeper, or the store of its configuration, did not serve the agent
    │  ├─ TransientVaultError        a retry may help: network errors, server errors, damaged responses
    │  │  └─ ThrottledError          … but not before ``until``: each earlier request extends the wait
    │  └─ PermanentVaultError        a retry cannot help: access denied, device revoked, invalid configuration
    ├─ DeliveryError                 a fetched secret could not be delivered
    │  ├─ WriteError                 a set of files could not be written; the previous set stays
    │  └─ SecretSyncError            a Kubernetes Secret could not be written
    │     └─ TransientSyncError      … but a retry may help
    ├─ PlanError                     the plan cannot be used (see keeper_injector_common.errors)
    │  └─ PlanChangedError           it is not the plan that the webhook admitted
    ├─ KilledError                   the process of a refresh was killed
    └─ UnexpectedError               a bug in the agent or in a library

``exit_code`` is the exit code (sysexits.h) of a command that ends with this error.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

from keeper_injector_common.errors import KeeperInjectorError, PlanError


class VaultError(KeeperInjectorError):
    """Keeper, or the store that holds its configuration, did not serve the agent."""

    exit_code: ClassVar[int] = os.EX_IOERR


class TransientVaultError(VaultError):
    """A failure that may pass without anyone changing anything; retry."""

    exit_code: ClassVar[int] = os.EX_TEMPFAIL


class ThrottledError(TransientVaultError):
    """Keeper asks for fewer requests: send none before *until* (seconds since the epoch)."""

    def __init__(self, message: str, until: float) -> None:
        super().__init__(message)
        self.until = until


class PermanentVaultError(VaultError):
    """A failure that stays until someone changes something in Keeper or in the configuration; do not retry."""

    exit_code: ClassVar[int] = os.EX_NOPERM


class DeliveryError(KeeperInjectorError):
    """A fetched secret could not be delivered."""

    exit_code: ClassVar[int] = os.EX_IOERR


class WriteError(DeliveryError):
    """A directory's new set of files could not be written; the previous set is still in place."""


class SecretSyncError(DeliveryError):
    """A Kubernetes Secret could not be written."""


class TransientSyncError(SecretSyncError):
    """The API server could not accept a Secret at the moment; retry."""


class PlanChangedError(PlanError):
    """The plan is not the one that the webhook admitted; nothing may be fetched or written."""


class KilledError(KeeperInjectorError):
    """The process of a refresh was killed, so that it could report nothing itself."""

    exit_code: ClassVar[int] = os.EX_TEMPFAIL
    _MESSAGES: ClassVar[dict[str, str]] = {
        "memory": "it ran out of memory; raise keeper.security/agent-limits-memory",
        "container": (
            "the container ended; if kubectl describe pod shows the reason OOMKilled, raise keeper.security/agent-limits-memory"
        ),
        "deadline": "it did not end within its deadline; the log may show what it waited for",
    }

    CAUSES: ClassVar[tuple[str, ...]] = (*_MESSAGES, "signal")

    def __init__(self, cause: str) -> None:
        """*cause* is ``memory``, ``container``, ``deadline``, or a signal such as ``signal 9``."""
        self.cause = cause.partition(" ")[0]
        """One of :attr:`CAUSES`."""
        super().__init__(f"the refresh was killed: {self._MESSAGES.get(cause, f'{cause} from another process')}")


class UnexpectedError(KeeperInjectorError):
    """A bug in the agent or in a library. The message names the exception's type and line, but never its text."""

    exit_code: ClassVar[int] = os.EX_IOERR


def as_reported(error: Exception) -> KeeperInjectorError:
    """Return *error* if it is already an error of this project. For a bug, return the exception's type and line, but never its text.

    The text of an exception may contain the value of a secret.
    """
    if isinstance(error, KeeperInjectorError):
        return error
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    where = "" if step is None else f" in {Path(step.tb_frame.f_code.co_filename).name}, line {step.tb_lineno}"
    return UnexpectedError(f"internal error: {type(error).__name__}{where}; please report it")
