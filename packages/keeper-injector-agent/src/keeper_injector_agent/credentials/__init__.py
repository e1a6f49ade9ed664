"""Where the KSM configuration comes from; each cloud's SDK is imported only when it is chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keeper_injector_agent.credentials.ksm_config import parse_configuration
from keeper_injector_common.plan.credentials import CloudCredentials, FileCredentials
from keeper_injector_common.plan.paths import below_root

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["load_configuration", "parse_configuration"]


def load_configuration(credentials: FileCredentials | CloudCredentials, root: Path) -> Mapping[str, str]:
    """Return the KSM configuration that *credentials* lead to; raises VaultError."""
    if isinstance(credentials, FileCredentials):
        from keeper_injector_agent.credentials import file

        return file.load(below_root(root, credentials.path))
    from keeper_injector_agent.credentials import clouds

    return clouds.load(credentials)
