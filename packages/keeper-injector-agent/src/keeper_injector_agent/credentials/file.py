"""The KSM configuration in a file: a Secret that the webhook mounts and that only the agent can read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keeper_injector_agent.errors import PermanentVaultError

if TYPE_CHECKING:
    from pathlib import Path

_LARGEST = 1024 * 1024
"""Bytes; the limit of a Secret."""


def read_from_file(path: Path) -> bytes:
    """Return the content of the file at *path*; raises PermanentVaultError."""
    try:
        with path.open("rb") as stream:
            return stream.read(_LARGEST)
    except OSError as error:
        raise PermanentVaultError(
            f"{path}: {error.strerror}; the Secret of keeper.security/ksm-config needs the key 'config'"
        ) from None
