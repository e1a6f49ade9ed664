"""The command line ``keeper-injector``: what pipelines and people ask before a manifest reaches a cluster."""

from __future__ import annotations

import argparse
from pathlib import Path

import keeper_injector_common
from keeper_injector_common.cli import lint

EXAMPLES = """\
examples:
  keeper-injector lint deployment.yaml              check the annotations of every workload in a file
  helm template ./chart | keeper-injector lint -    or of what comes by a pipe
  keeper-injector lint --strict manifests/          directories too; warnings count as problems
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 fine, 1 problems found, 2 wrong use, 66 no such file."""
    options = _parser().parse_args(arguments)
    return lint.run(options.files, strict=options.strict)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="keeper-injector",
        description="Check keeper.security annotations, with the same code as the webhook.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {keeper_injector_common.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    check = commands.add_parser("lint", help="name every problem of the annotations in manifests")
    check.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="manifest, directory, or - for standard input"
    )
    check.add_argument("--strict", action="store_true", help="let warnings fail too")
    return parser
