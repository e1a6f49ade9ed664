"""``keeper-injector render``: shows the files of a plan, made from sample records, without a connection to Keeper."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import attrs

from keeper_injector_common.cli import console, inputs, sample_records
from keeper_injector_common.errors import ContractError, PlanError
from keeper_injector_common.plan.model import Directory, Plan
from keeper_injector_common.plan.wire import loads
from keeper_injector_common.records import (
    FolderFile,
    Renderer,
    assign_paths,
    describe_clash,
    describe_overridden,
    formats,
    templates,
)
from keeper_injector_common.uniqueness import Named

DESCRIPTION = """\
Make the files and environment variables of a plan from sample records, with
the agent's code. To get the plan of a pod, run keeper-injector preview --plan.
Printed files show control characters as escapes such as \\x1b; written files
have every byte.

exit codes: 0 success, 1 a file cannot be made, 2 a file cannot be read or the
arguments are invalid
"""
EXAMPLES = f"""\
examples:
  keeper-injector render --plan plan.json --records sample.yaml

  # Write the files below a directory instead of printing them.
  keeper-injector render --plan plan.json --records sample.yaml --output ./files

  # Make the files of a pod.
  keeper-injector preview --plan pod.yaml | keeper-injector render --plan - --records sample.yaml

{sample_records.FORMAT}"""


@attrs.frozen
class _RenderedFile:
    """A file, or the environment variables of some containers."""

    path: str
    mode: int
    content: bytes = attrs.field(repr=False)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument(
        "--plan", type=Path, required=True, metavar="FILE", help="plan as JSON, or - for standard input"
    )
    parser.add_argument("--records", type=Path, required=True, metavar="FILE", help="sample records as YAML, see below")
    parser.add_argument("--output", type=Path, metavar="DIR", help="write the files below DIR instead of printing them")


def run(options: argparse.Namespace) -> int:
    """Print or write the files of the plan; return the exit code."""
    try:
        plan = loads(inputs.read_text(options.plan))
    except PlanError as error:
        raise console.CommandError(f"{options.plan}: {error}") from None
    samples = sample_records.parse_samples(str(options.records), inputs.read_text(options.records))
    renderer = Renderer(samples.library, plan.strict_lookup, samples.download, templates.render_template, _warn)
    code = console.EXIT_OK
    for rendered in _render_plan(plan, renderer):
        if isinstance(rendered, str):
            code = console.EXIT_PROBLEMS
            console.print_error(rendered)
        elif options.output:
            _write(options.output, rendered)
        else:
            sys.stdout.write(_text_of(rendered))
    return code


def _warn(text: str) -> None:
    console.print_error(f"warning: {text}")


def _render_plan(plan: Plan, renderer: Renderer) -> Iterator[_RenderedFile | str]:
    """Iterate over the files of the plan; a file that cannot be made is replaced by an error message."""
    for directory in plan.directories:
        for file in directory.files:
            path = f"{directory.target}/{file.name}"
            try:
                yield _RenderedFile(path, file.mode, renderer.render_file(file))
            except ContractError as error:
                yield f"{path}: {error}"
        yield from _render_folders(directory, renderer)
    for environment in plan.environments:
        found = renderer.variables(environment, formats.ENVIRONMENT_WRITERS[environment.style])
        for where, problem in found.problems:
            if not isinstance(problem, ContractError):
                raise problem
            yield f"{where}: {str(problem).removeprefix(f'{where}: ')}"
        if not found.problems:
            lines = "".join(f"{name}={variable.value}\n" for name, variable in found.variables.items())
            yield _RenderedFile(f"{environment.path}: variables", environment.mode, lines.encode())


def _render_folders(directory: Directory, renderer: Renderer) -> Iterator[_RenderedFile | str]:
    wanted: list[Named[FolderFile]] = []
    for folder in directory.folders:
        try:
            found = renderer.folder_files(folder)
        except ContractError as error:
            yield f"{directory.target}: {error}"
        else:
            wanted += [Named(entry.name, FolderFile(folder, entry.value), entry.origin) for entry in found]
    assigned = assign_paths([item.name for item in directory.files], wanted, {})
    for clash in assigned.clashes:
        yield f"{directory.target}/{clash.name}: {describe_clash(clash)}"
    for entry in assigned.overridden:
        console.print_error(f"warning: {directory.target}/{entry.name}: {describe_overridden(entry.origin)}")
    for name, file in assigned.files.items():
        path = f"{directory.target}/{name}"
        try:
            yield _RenderedFile(path, file.folder.mode, renderer.render_record(file.record, file.folder.format))
        except ContractError as error:
            yield f"{path}: {error}"


def _text_of(rendered: _RenderedFile) -> str:
    text = rendered.content.decode(errors="replace")
    if "\ufffd" in text or "\0" in text:
        text = f"({len(rendered.content)} bytes of binary data)\n"
    heading = console.colored(f"==> {console.visible(rendered.path)} ({rendered.mode:04o})", "bold")
    text = console.visible(text, keep="\n\t")
    return f"{heading}\n{text}" + ("" if text.endswith("\n") else "\n")


def _write(root: Path, rendered: _RenderedFile) -> None:
    path = root / rendered.path.replace(": ", "/").lstrip("/")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(rendered.content)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise console.CommandError(f"{path}: {reason}; choose a directory that can be written") from None
    console.print_error(f"{path} written")
