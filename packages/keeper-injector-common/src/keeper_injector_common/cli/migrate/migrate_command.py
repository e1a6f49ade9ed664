"""The command ``keeper-injector migrate``."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs

from keeper_injector_common import parsers
from keeper_injector_common.annotations.table import PREFIX
from keeper_injector_common.cli import console, inputs
from keeper_injector_common.cli.manifest_yaml import ManifestError, documents
from keeper_injector_common.cli.migrate.rewriting import Migrated, migrate_files
from keeper_injector_common.cli.migrate.run import Run
from keeper_injector_common.cli.migrate.secret_documents import WORKLOADS
from keeper_injector_common.cli.migrate.tools import DEFAULT_TOOLS, TOOLS
from keeper_injector_common.cli.migrate.wanted import Tool
from keeper_injector_common.json_values import Json

DESCRIPTION = f"""\
Print manifests with {PREFIX} annotations in place of what other tools need:
vault-k8s, External Secrets, 1Password, CyberArk's Secrets Provider, Infisical,
bank-vaults and Keeper's Go injector. Objects that create a Secret become
annotations of the workloads of the input that use the Secret, or a separate
document. Everything else, including comments and line endings, stays as it
is. Anything that has no counterpart is reported on standard error, with its
line and what to do, and a table counts it for each file. Review the result
before you apply it.

exit codes: 0 everything was migrated, 1 something has no counterpart, 2 a file
cannot be read or the arguments are invalid
"""
EXAMPLES = """\
examples:
  keeper-injector migrate deployment.yaml > migrated.yaml
  kubectl get externalsecret shop -o yaml | keeper-injector migrate -

  # Show what would change, or write each file to another directory.
  keeper-injector migrate --diff manifests/
  keeper-injector migrate --output-dir migrated/ manifests/

  # Take variables and files from Keeper in place of Kubernetes Secrets.
  keeper-injector migrate --from secrets deployment.yaml

  # Print a patch for a workload that is not in the input.
  keeper-injector migrate --workload Deployment/shop externalsecret.yaml
"""


@attrs.frozen
class _File:
    path: Path
    target: Path
    """The path below ``--output-dir``."""
    text: str = attrs.field(repr=False)
    migrated: Migrated = attrs.field(repr=False)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    inputs.add_files(parser)
    parser.add_argument(
        "--from",
        dest="tools",
        action="append",
        choices=[tool.name for tool in TOOLS],
        help="migrate only from this tool; can be repeated (default: all but secrets)",
    )
    parser.add_argument(
        "--workload",
        type=_workload,
        metavar="KIND/NAME",
        help="print what no workload of the input uses as a patch of this one",
    )
    parser.add_argument(
        "-o", "--output", choices=("text", "json"), default="text", help="output format (default: text)"
    )
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--diff", action="store_true", help="print the changes as a diff")
    shown.add_argument("--output-dir", type=Path, metavar="DIR", help="write each file to this directory instead")


def run(options: argparse.Namespace) -> int:
    """Print or write the migrated manifests; return the exit code."""
    failures = inputs.Failures()
    chosen = [tool for tool in TOOLS if tool.name in options.tools] if options.tools else DEFAULT_TOOLS
    files = list(_migrate(options.files, Run(workload=options.workload), chosen, failures))
    if options.output_dir:
        _write(files, options.output_dir)
    if options.output == "json":
        sys.stdout.write(console.json_text({"version": 1, "files": [_json(file) for file in files]}))
        return _exit_code(files, failures)
    for number, file in enumerate(files):
        if options.diff:
            sys.stdout.writelines(_diff(file))
        elif not options.output_dir:
            text = file.migrated.text
            sys.stdout.write(
                ("---\n" if number and not text.startswith("---") else "") + _ended(text, number < len(files) - 1)
            )
        for item in file.migrated.unmigrated:
            console.print_error(f"{file.path}:{item.position.line}: {item.message}")
    sys.stdout.flush()
    if files:
        sys.stderr.writelines(f"{line}\n" for line in _summary(files))
    return _exit_code(files, failures)


def _exit_code(files: list[_File], failures: inputs.Failures) -> int:
    if failures.count:
        return console.EXIT_ERROR
    return console.EXIT_PROBLEMS if any(map(_to_check, files)) else console.EXIT_OK


def _to_check(file: _File) -> int:
    """Return how much of the file the user must migrate or check."""
    return sum(not item.is_done for item in file.migrated.unmigrated)


def _workload(text: str) -> tuple[str, str]:
    """Return kind and name of a workload; raise an error of argparse if *text* is something else."""
    kind, _, name = text.partition("/")
    known = {word.lower(): word for word in WORKLOADS}
    try:
        return known[kind.lower()], parsers.object_name(name)
    except (KeyError, parsers.InvalidValue):
        kinds = ", ".join(WORKLOADS)
        raise argparse.ArgumentTypeError(f"{text!r} is not a workload; write KIND/NAME with one of {kinds}") from None


def _migrate(paths: list[Path], run: Run, tools: Sequence[Tool], failures: inputs.Failures) -> Iterator[_File]:
    """Iterate over the files that can be read."""
    texts: list[tuple[Path, Path, str]] = []
    for given in paths:
        for path in inputs.manifest_files([given]):
            try:
                text = inputs.read_text(path)
                list(documents(text))
            except ManifestError as error:
                failures.report(inputs.located(path, error))
            except console.CommandError as error:
                failures.report(error)
            else:
                target = path.relative_to(given) if given.is_dir() else Path(path.name)
                texts.append((path, Path("stdin.yaml") if str(path) == "-" else target, text))
    migrated = migrate_files([text for _, _, text in texts], run, tools)
    for (path, target, text), found in zip(texts, migrated, strict=True):
        yield _File(path, target, text, found)


def _json(file: _File) -> Json:
    return {
        "file": str(file.path),
        "written": file.migrated.written,
        "unmigrated": [
            {
                "line": item.position.line,
                "column": item.position.column,
                "message": item.message,
                "toCheck": not item.is_done,
            }
            for item in file.migrated.unmigrated
        ],
        "text": file.migrated.text,
    }


def _write(files: list[_File], directory: Path) -> None:
    """Write the files below *directory*.

    Raises :class:`~keeper_injector_common.cli.console.CommandError` before anything is written, if two files have one path or
    a file would replace its source; and if a file cannot be written.
    """
    targets: dict[Path, _File] = {}
    for file in files:
        target = directory / file.target
        if other := targets.get(target):
            raise console.CommandError(
                f"{target}: both {other.path} and {file.path} would be written there; migrate them one by one"
            )
        if target.exists() and str(file.path) != "-" and target.samefile(file.path):
            raise console.CommandError(f"{target}: it would replace its source; name another directory")
        targets[target] = file
    for target, file in targets.items():
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.migrated.text.encode())
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise console.CommandError(f"{target}: {reason}; name a directory that can be written") from None


def _ended(text: str, more: bool) -> str:
    """Return *text* with a line ending, if another document follows."""
    return f"{text}\n" if more and text and not text.endswith(("\n", "\r")) else text


def _diff(file: _File) -> Iterator[str]:
    """Iterate over the lines of a unified diff, which ``patch`` and ``git apply`` accept."""
    colors = {"+": "green", "-": "red", "@": "dim"}
    old, new = file.text.splitlines(keepends=True), file.migrated.text.splitlines(keepends=True)
    for line in difflib.unified_diff(old, new, str(file.path), str(file.path)):
        color = colors.get(line[:1])
        ended = line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
        yield console.colored(ended, color) if color else ended


def _summary(files: list[_File]) -> Iterator[str]:
    """Iterate over the lines of a table with the counts of each file."""
    rows = [(console.visible(str(file.path)), str(file.migrated.written), str(_to_check(file))) for file in files]
    heading = ("FILE", "WRITTEN", "TO CHECK")
    width = max(len(row[0]) for row in (heading, *rows))
    for name, written, left in (heading, *rows):
        yield f"{name:<{width}}  {written:>7}  {left:>8}"
