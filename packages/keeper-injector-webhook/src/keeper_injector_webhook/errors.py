"""The webhook's branch of the tree in :mod:`keeper_injector_common.errors`."""

from __future__ import annotations

from keeper_injector_common.errors import KeeperInjectorError


class ReviewError(KeeperInjectorError):
    """What came is not a usable AdmissionReview; the answer is HTTP 400, because there is no UID to answer to."""


class SettingsError(KeeperInjectorError):
    """The webhook's own settings cannot be followed."""


class ClusterError(KeeperInjectorError):
    """The certificate could not be kept right in the cluster now; the one in use stays."""
