"""Postpones imports of Keeper's SDK until they are used: they take twice as long as everything else of a refresh.

The SDK's modules import these at their top, and use them only for what the agent does not do: requests for the two
calls that our transport replaces, ``importlib.metadata`` if it cannot read its own version, ``subprocess`` on Windows, and
``mimetypes`` for uploads. Therefore a stand-in for each is in ``sys.modules`` while the SDK is imported, and only then: other
libraries, such as those of clouds, must get the real module and its submodules. The SDK keeps the stand-in, which imports
the real module at the first access to any of its attributes.

The library cryptography imports its support of SSH keys, which nothing here uses, together with that of other keys. The package
:data:`_PACKAGE` imports names from it, so they are removed there afterwards, and imported when somebody asks for them.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

_NAMES = ("requests", "importlib.metadata", "subprocess", "mimetypes")
_PACKAGE = "cryptography.hazmat.primitives.serialization"
_SSH = f"{_PACKAGE}.ssh"


class _Postponed(ModuleType):
    """Stands in for a module until one of its attributes is used."""

    def __getattr__(self, name: str) -> Any:
        # __file__ is of no interest until the module is loaded; inspect asks every module. Without __path__, importing a
        # submodule fails within the context: Python would load it a second time, with exceptions that nobody catches.
        if name in {"__file__", "__path__"}:
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


class _PostponedNames(ModuleType):
    """Stands in for a module from which a package imports names."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.imported: set[str] = set()

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)
        self.imported.add(name)

    def remove_from(self, package: ModuleType) -> None:
        """Remove the names from the *package*, and let it import one when somebody asks for it (PEP 562)."""

        def get(name: str) -> Any:
            if name not in self.imported:
                raise AttributeError(f"module {package.__name__!r} has no attribute {name!r}")
            return getattr(importlib.import_module(self.__name__), name)

        for name in self.imported:
            delattr(package, name)
        package.__getattr__ = get  # type: ignore[method-assign]


def _stand_in(name: str) -> ModuleType:
    module = _Postponed(name)
    if name == "importlib.metadata":
        # What the SDK imports by name, which would load the real module.
        module.version = lambda package: module.distribution(package).version  # type: ignore[attr-defined]
        module.PackageNotFoundError = ModuleNotFoundError  # type: ignore[attr-defined] # its base class
    return module


@contextmanager
def imports_postponed() -> Iterator[None]:
    """Give stand-ins to modules that import those within the context, unless they have been imported already."""
    stand_ins = {name: _stand_in(name) for name in _NAMES if name not in sys.modules}
    ssh = _PostponedNames(_SSH)
    if _PACKAGE not in sys.modules:
        stand_ins[_SSH] = ssh
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name, module in stand_ins.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]
        if ssh.imported:
            ssh.remove_from(sys.modules[_PACKAGE])
