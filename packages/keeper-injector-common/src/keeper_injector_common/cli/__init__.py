"""The command line ``keeper-injector``: what pipelines and people ask before a manifest reaches a cluster."""

from __future__ import annotations

import argparse
import sys
from types import ModuleType

import keeper_injector_common
from keeper_injector_common.cli import completion, console, lint, migrate, reference, render, schema
from keeper_injector_common.cli.explain import command as explain

COMMANDS: dict[str, ModuleType] = {
    "lint": lint,
    "explain": explain,
    "render": render,
    "schema": schema,
    "annotations": reference,
    "migrate": migrate,
    "completion": completion,
}
EXAMPLES = """\
examples:
  keeper-injector lint deployment.yaml              check the annotations of every workload in a file
  helm template ./chart | keeper-injector lint -    or of what comes by a pipe
  keeper-injector explain deployment.yaml           what its annotations will do

Each command has examples of its own: keeper-injector COMMAND --help
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 fine, 1 problems found, 2 the command could not do its work."""
    options = parser().parse_args(arguments)
    try:
        code = int(COMMANDS[options.command].run(options))
        sys.stdout.flush()
    except console.Stop as error:
        console.note(str(error))
        return console.UNUSABLE
    except BrokenPipeError:
        return console.pipe_closed()
    except KeyboardInterrupt:
        return console.INTERRUPTED
    return code


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    top = argparse.ArgumentParser(
        prog="keeper-injector",
        description="Check and explain keeper.security annotations, with the same code as the webhook.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"%(prog)s {keeper_injector_common.__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=module.HELP,
            description=module.DESCRIPTION,
            epilog=module.EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.arguments(command)
    return top
