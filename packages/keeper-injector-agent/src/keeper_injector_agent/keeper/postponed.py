"""Postpones the import of the library requests until it is used: it takes as long as everything else of a refresh.

Keeper's SDK imports requests at the top of its modules, and uses it only for the two calls that our transport replaces.
Therefore a stand-in is in ``sys.modules`` when the SDK is imported. The first access to any attribute of the stand-in
replaces it by the real module, so that other libraries, and a new version of the SDK that does use requests, work as usual.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

_NAME = "requests"


class _Postponed(ModuleType):
    """Stands in for a module until one of its attributes is used."""

    def __getattr__(self, name: str) -> Any:
        if name == "__file__":  # of no interest until it is loaded; inspect asks every module
            raise AttributeError(name)
        if sys.modules.get(_NAME) is self:
            del sys.modules[_NAME]
        return getattr(importlib.import_module(_NAME), name)


def postpone_requests() -> None:
    """Put the stand-in into ``sys.modules``, unless requests has been imported already."""
    sys.modules.setdefault(_NAME, _Postponed(_NAME))
