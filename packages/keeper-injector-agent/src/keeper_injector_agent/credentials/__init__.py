"""The sources of the KSM configuration: a file or a cloud's secret store. A cloud's SDK is imported only if it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keeper_injector_agent.errors import PermanentVaultError
from keeper_injector_common.errors import ConfigurationError
from keeper_injector_common.ksm_configuration import parse_configuration
from keeper_injector_common.plan.paths import below_root

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from keeper_injector_common.plan.credentials import CloudCredentials, FileCredentials

__all__ = ["load_configuration"]


def load_configuration(credentials: FileCredentials | CloudCredentials, root: Path) -> Mapping[str, str]:
    """Return the KSM configuration that *credentials* refer to; a file is below *root*. Raises VaultError."""
    content, where = _read(credentials, root)
    try:
        return parse_configuration(content, where)
    except ConfigurationError as error:
        raise PermanentVaultError(str(error)) from None


def _read(credentials: FileCredentials | CloudCredentials, root: Path) -> tuple[bytes, str]:
    """Return the configuration as it is stored, and where it is stored, for messages."""
    from keeper_injector_common.plan.credentials import FileCredentials  # here, because of what it imports

    if isinstance(credentials, FileCredentials):
        from keeper_injector_agent.credentials.file import read_from_file

        path = below_root(root, credentials.path)
        return read_from_file(path), str(path)
    from keeper_injector_agent.credentials.clouds import read_from_cloud

    return read_from_cloud(credentials), f"{credentials.method} {credentials.secret}"
