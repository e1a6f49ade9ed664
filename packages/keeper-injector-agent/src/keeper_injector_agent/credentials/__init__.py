"""The sources of the KSM configuration: a file or a cloud's secret store. A cloud's SDK is imported only if it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keeper_injector_common.plan.credentials import CloudCredentials, FileCredentials
from keeper_injector_common.plan.paths import below_root

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["load_configuration"]


def load_configuration(credentials: FileCredentials | CloudCredentials, root: Path) -> Mapping[str, str]:
    """Return the KSM configuration that *credentials* refer to; a file is below *root*. Raises VaultError."""
    if isinstance(credentials, FileCredentials):
        from keeper_injector_agent.credentials.file import load_from_file

        return load_from_file(below_root(root, credentials.path))
    from keeper_injector_agent.credentials.clouds import load_from_cloud

    return load_from_cloud(credentials)
