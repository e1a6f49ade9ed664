"""The command ``keeper-injector migrate``."""

from __future__ import annotations

import argparse
import sys

from keeper_injector_common.annotations.table import PREFIX
from keeper_injector_common.cli import console, inputs
from keeper_injector_common.cli.manifests import ManifestError
from keeper_injector_common.cli.migrate.rewriting import migrate_text

DESCRIPTION = f"""\
Print manifests with {PREFIX} annotations in place of those of
HashiCorp's vault-k8s and of Keeper's Go injector. For each ExternalSecret,
print the annotations for the pods that use its Secret. Everything else,
including comments, stays as it is. Anything that has no counterpart is
reported on standard error, with its line and what to do. Review the result
before you apply it.

exit codes: 0 everything was migrated, 1 something has no counterpart, 2 a file
cannot be read or the arguments are invalid
"""
EXAMPLES = """\
examples:
  keeper-injector migrate deployment.yaml > migrated.yaml
  kubectl get externalsecret shop -o yaml | keeper-injector migrate -
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    inputs.add_files(parser)


def run(options: argparse.Namespace) -> int:
    """Print the migrated manifests; return the exit code."""
    code = console.EXIT_OK
    for number, file in enumerate(inputs.manifest_files(options.files)):
        try:
            migrated = migrate_text(inputs.read_text(file))
        except ManifestError as error:
            raise inputs.located(file, error) from None
        sys.stdout.write(("---\n" if number and not migrated.text.startswith("---") else "") + migrated.text)
        for item in migrated.unmigrated:
            code = console.EXIT_PROBLEMS
            console.print_error(f"{file}:{item.position.line}: {item.message}")
    return code
