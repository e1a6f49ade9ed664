"""The list of commands: where each one is defined, and how it is loaded.

A command is a module that has the attributes of :class:`Command`. It is imported when it is used, and not before.

Another package adds a command by an entry point in the group ``keeper_injector.commands``, whose value is such a module::

    [project.entry-points."keeper_injector.commands"]
    preview = "keeper_injector_webhook.preview"

It is also listed here, so that ``keeper-injector --help`` shows it whether or not that package is installed.
"""

from __future__ import annotations

import importlib
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast, runtime_checkable

from keeper_injector_common.cli.console import CommandError
from keeper_injector_common.cli.entry_points import load_entry_point

if TYPE_CHECKING:
    import argparse

_ENTRY_POINTS = "keeper_injector.commands"


@runtime_checkable
class Command(Protocol):
    """A module that defines a command."""

    DESCRIPTION: str
    """What the command does; the first paragraph of its ``--help``."""
    EXAMPLES: str
    """The last paragraph of its ``--help``."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments to its parser."""

    def run(self, options: argparse.Namespace) -> int:
        """Run the command and return its exit code."""


class _Listed(NamedTuple):
    """A command as ``keeper-injector --help`` lists it. Either its module or its package is set."""

    help: str
    module: str = ""
    package: str = ""
    """The distribution that registers the command by an entry point."""


COMMANDS = MappingProxyType(
    {
        "lint": _Listed("report every problem in the annotations of manifests", "keeper_injector_common.cli.lint"),
        "explain": _Listed("describe what annotations will do", "keeper_injector_common.cli.explain.explain_command"),
        "preview": _Listed(
            "show how the webhook would change the pods of manifests", package="keeper-injector-webhook"
        ),
        "check": _Listed(
            "check a cluster, the installed webhook and the pods of a namespace",
            package="keeper-injector-webhook",
        ),
        "render": _Listed("show the files of a plan, made from sample records", "keeper_injector_common.cli.render"),
        "migrate": _Listed(
            "rewrite manifests that were written for other injectors",
            "keeper_injector_common.cli.migrate.migrate_command",
        ),
        "schema": _Listed(
            "print the JSON Schema of the config annotation or the plan", "keeper_injector_common.cli.schema"
        ),
        "annotations": _Listed(
            "print the reference of all annotations", "keeper_injector_common.cli.annotation_reference"
        ),
        "completion": _Listed("print a completion script for a shell", "keeper_injector_common.cli.completion"),
    }
)
"""All commands by name, in the order in which ``--help`` lists them."""


def load(name: str) -> Command:
    """Import the command *name*.

    Raises :class:`~keeper_injector_common.cli.console.CommandError` if its package is not installed or cannot be imported.
    """
    listed = COMMANDS[name]
    if listed.package:
        return _load_from_package(name, listed.package)
    return cast("Command", importlib.import_module(listed.module))


def installed() -> list[str]:
    """Return the names of the commands that can be loaded."""
    return [name for name in COMMANDS if _can_load(name)]


def _can_load(name: str) -> bool:
    try:
        load(name)
    except CommandError:
        return False
    return True


def _load_from_package(name: str, package: str) -> Command:
    extension = load_entry_point(_ENTRY_POINTS, package, name)
    if extension is not None:
        if not isinstance(extension.content, Command):
            raise CommandError(f"{name}: {extension.reference} is not a command; upgrade {package}")
        return extension.content
    raise CommandError(f"{name}: this command is in a package that is not installed; run: pip install {package}")
