"""Postpones the import of the library requests until it is used: it takes as long as everything else of a refresh.

Keeper's SDK imports requests at the top of one module, and uses it only for the two calls that our transport replaces.
Therefore a stand-in is in ``sys.modules`` while the SDK is imported, and only then: other libraries, such as those of
clouds, must get the real module and its submodules. The SDK keeps the stand-in, which imports the real module at the first
access to any of its attributes.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

_NAME = "requests"


class _Postponed(ModuleType):
    """Stands in for a module until one of its attributes is used."""

    def __getattr__(self, name: str) -> Any:
        if name == "__file__":  # of no interest until it is loaded; inspect asks every module
            raise AttributeError(name)
        if name == "__path__":
            # Python would load the submodule a second time, with exceptions that nobody catches.
            raise ImportError("the SDK imports a submodule of requests, which cannot be postponed; use an older SDK")
        if sys.modules.get(_NAME) is self:
            del sys.modules[_NAME]
        return getattr(importlib.import_module(_NAME), name)


@contextmanager
def requests_postponed() -> Iterator[None]:
    """Give a stand-in to modules that import requests within the context, unless requests has been imported already."""
    stand_in = _Postponed(_NAME)
    sys.modules.setdefault(_NAME, stand_in)
    try:
        yield
    finally:
        if sys.modules.get(_NAME) is stand_in:
            del sys.modules[_NAME]
