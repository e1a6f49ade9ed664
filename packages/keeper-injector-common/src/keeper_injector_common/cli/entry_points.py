"""Loads what other packages add to ``keeper-injector`` by entry points: commands, and the webhook's rules."""

from __future__ import annotations

from typing import Any, NamedTuple

from keeper_injector_common.cli.console import CommandError


class Extension(NamedTuple):
    """An object that another package has registered."""

    reference: str
    """Where it is defined, as ``module:attribute``."""
    content: Any


def load_entry_point(group: str, package: str, name: str = "") -> Extension | None:
    """Import the first entry point of *group*, with this *name* if it is set; None if *package* does not register one.

    Raises :class:`~keeper_injector_common.cli.console.CommandError` if it cannot be imported.
    """
    from importlib.metadata import entry_points  # takes 20 ms, which only those who need an extension pay

    for entry_point in entry_points(group=group, name=name) if name else entry_points(group=group):
        try:
            return Extension(entry_point.value, entry_point.load())
        except Exception as error:
            where = f"{name}: " if name else ""
            reason = f"{type(error).__name__}: {error}"
            raise CommandError(f"{where}cannot import {entry_point.value}: {reason}; reinstall {package}") from error
    return None
