"""What can go wrong while fetching and delivering: the agent's branch of the tree in :mod:`keeper_injector_common.errors`.

::

    KeeperInjectorError
    ├─ VaultError                    Keeper could not serve us
    │  ├─ TransientVaultError        trying again may help: network, server errors, damaged answers
    │  │  └─ ThrottledError          … but not before ``until``: each earlier request makes it later
    │  └─ PermanentVaultError        trying again cannot help: denied, revoked, wrong configuration
    └─ DeliveryError
       ├─ WriteError                 a set of files could not be written; the old one stays
       ├─ NotifyError                the application could not be told of a change
       └─ SecretSyncError            a Kubernetes Secret could not be written
"""

from __future__ import annotations

from keeper_injector_common.errors import KeeperInjectorError


class VaultError(KeeperInjectorError):
    """Keeper could not serve us."""


class TransientVaultError(VaultError):
    """A failure that may pass by itself."""


class ThrottledError(TransientVaultError):
    """Keeper asks for fewer requests; until *until* (seconds since the epoch) none may be made."""

    def __init__(self, message: str, until: float) -> None:
        super().__init__(message)
        self.until = until


class PermanentVaultError(VaultError):
    """A failure that stays until someone changes something in Keeper or in the configuration."""


class DeliveryError(KeeperInjectorError):
    """What was fetched could not be delivered."""


class WriteError(DeliveryError):
    """A directory's new set of files could not be written; the old set is still in place."""


class NotifyError(DeliveryError):
    """The application could not be told that its files have changed."""


class SecretSyncError(DeliveryError):
    """A Kubernetes Secret could not be written."""


class TransientSyncError(SecretSyncError):
    """The API server could not take a Secret now; that may pass by itself."""
