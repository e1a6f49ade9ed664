"""Postpones imports of libraries until they are used: a process that lives for a tenth of a second mostly imports.

Libraries import modules at their top that the agent hardly ever uses. While such a library is imported, and only then,
``sys.modules`` has a stand-in for each of these modules. The library keeps the stand-in, which imports the real module at the first
access to any of its attributes. All other code, such as the libraries of clouds, gets the real module. For example, Keeper's SDK
imports requests, which takes longer than a refresh, for two calls that our transport replaces::

    with imports_postponed("requests"):
        import keeper_secrets_manager_core

This depends on how the libraries import. They are pinned, and ``tests/test_postponed.py`` fails if a new version does it in another way:
if a refresh loads what it does not use, or if what is postponed does not work when it is used.

A stand-in cannot be used if a library imports names from the module. If that library is the module's own package, the names are
removed from the package afterwards, and imported when somebody asks for them.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

_IMPLEMENTATIONS = {"cpython": "CPython", "pypy": "PyPy"}


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
    """Stands in for a module while its package imports names from it."""

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
        # What Keeper's SDK imports by name, which would load the real module.
        module.version = lambda package: module.distribution(package).version  # type: ignore[attr-defined]
        module.PackageNotFoundError = ModuleNotFoundError  # type: ignore[attr-defined] # its base class
    elif name == "platform":
        # What attrs calls when it is imported, to find out whether it runs in PyPy.
        module.python_implementation = lambda: _IMPLEMENTATIONS[sys.implementation.name]  # type: ignore[attr-defined]
    return module


@contextmanager
def imports_postponed(*names: str, names_of: str = "") -> Iterator[None]:
    """Postpone the imports of the modules *names* within the context, unless they have been imported already.

    *names_of* is a module from which only its package imports names within the context. A name that is used while the package is
    imported, such as a base class, would be None.
    """
    stand_ins = {name: _stand_in(name) for name in names if name not in sys.modules}
    submodule, package = _PostponedNames(names_of), names_of.rpartition(".")[0]
    if package and package not in sys.modules:
        stand_ins[names_of] = submodule
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name, module in stand_ins.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]
        if submodule.imported:
            submodule.remove_from(sys.modules[package])
