"""The KSM configuration in a file: a Secret that the webhook mounts and that only the agent can read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keeper_injector_agent.credentials.ksm_config import parse_configuration
from keeper_injector_agent.errors import PermanentVaultError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LARGEST = 1024 * 1024
"""Bytes; the limit of a Secret."""


def load_from_file(path: Path) -> Mapping[str, str]:
    """Return the configuration in the file at *path*; raises PermanentVaultError."""
    try:
        with path.open("rb") as stream:
            content = stream.read(_LARGEST)
    except OSError as error:
        raise PermanentVaultError(
            f"{path}: {error.strerror}; the Secret of keeper.security/ksm-config needs the key 'config'"
        ) from None
    return parse_configuration(content, str(path))
