"""The KSM configuration in a file: a Secret that the webhook mounts, readable by the agent alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keeper_injector_agent.credentials.ksm_config import parse_configuration
from keeper_injector_agent.errors import PermanentVaultError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LARGEST = 1024 * 1024


def load(path: Path) -> Mapping[str, str]:
    """Read and parse the configuration at *path*; raises PermanentVaultError."""
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST)
    except OSError as error:
        raise PermanentVaultError(
            f"{path}: {error.strerror}; the Secret of keeper.security/ksm-config needs the key 'config'"
        ) from None
    return parse_configuration(content, str(path))
