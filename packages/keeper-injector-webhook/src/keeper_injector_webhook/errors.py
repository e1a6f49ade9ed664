"""The webhook's errors: its branch of the tree in :mod:`keeper_injector_common.errors`."""

from __future__ import annotations

import os
from typing import ClassVar

from keeper_injector_common.errors import KeeperInjectorError


class ReviewError(KeeperInjectorError):
    """The request is not a valid AdmissionReview. The server answers HTTP 400, because there is no usable UID to respond to."""

    exit_code: ClassVar[int] = os.EX_DATAERR


class SettingsError(KeeperInjectorError):
    """The webhook's settings or serving certificate are invalid, so that it cannot start."""

    exit_code: ClassVar[int] = os.EX_CONFIG


class ClusterError(KeeperInjectorError):
    """The certificate could not be reconciled with the cluster; the server continues with the one it has."""

    exit_code: ClassVar[int] = os.EX_TEMPFAIL
