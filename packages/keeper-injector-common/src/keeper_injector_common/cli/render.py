"""``keeper-injector render``: what the files of a plan look like, made of sample records; no Keeper is asked."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import attrs

from keeper_injector_common.cli import console, sample_records
from keeper_injector_common.errors import ContractError, PlanError
from keeper_injector_common.plan.model import FolderItem, Plan
from keeper_injector_common.plan.reader import loads
from keeper_injector_common.records import Renderer, templates

HELP = "show what the files of a plan look like, from sample records"
DESCRIPTION = """\
Make the files and variables of a plan from records that you write down, with the agent's own code. A plan is what
keeper-injector-webhook preview --plan prints.

exit codes: 0 all made, 1 something cannot be made, 2 a file cannot be read or the command is misused
"""
EXAMPLES = f"""\
examples:
  keeper-injector render --plan plan.json --records sample.yaml
  keeper-injector render --plan plan.json --records sample.yaml --output ./files
  keeper-injector-webhook preview --plan pod.yaml | keeper-injector render --plan - --records sample.yaml

{sample_records.FORMAT}"""


@attrs.frozen
class Made:
    """One file or the variables of some containers."""

    path: str
    mode: int
    content: bytes = attrs.field(repr=False)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument(
        "--plan", type=Path, required=True, metavar="FILE", help="the plan as JSON, or - for standard input"
    )
    parser.add_argument("--records", type=Path, required=True, metavar="FILE", help="sample records as YAML, see below")
    parser.add_argument("--output", type=Path, metavar="DIR", help="write the files below DIR instead of showing them")


def run(options: argparse.Namespace) -> int:
    """Show or write what the plan makes."""
    try:
        plan = loads(console.read(options.plan))
    except PlanError as error:
        raise console.Stop(f"{options.plan}: {error}") from None
    sample = sample_records.parse(str(options.records), console.read(options.records))
    renderer = Renderer(sample.library, plan.strict_lookup, sample.download, templates.render_template)
    problems = 0
    for made in files(plan, renderer):
        if isinstance(made, str):
            problems += 1
            console.note(made)
        elif options.output:
            _write(options.output, made)
        else:
            sys.stdout.write(_shown(made))
    return console.PROBLEMS if problems else console.FINE


def files(plan: Plan, renderer: Renderer) -> Iterator[Made | str]:
    """Iterate over what the plan makes; what cannot be made is a sentence in its place."""
    for directory in plan.directories:
        for file in directory.files:
            path = f"{directory.target}/{file.name}"
            try:
                yield Made(path, file.mode, renderer.render_file(file))
            except ContractError as error:
                yield f"{path}: {error}"
        for folder in directory.folders:
            yield from _of_folder(directory.target, folder, renderer)
    for environment in plan.environments:
        try:
            found = renderer.variables(environment)
        except ContractError as error:
            yield f"variables: {error}"
        else:
            lines = "".join(f"{name}={value}\n" for name, value in found.items())
            yield Made(f"{environment.path}: variables", environment.mode, lines.encode())


def _of_folder(target: str, folder: FolderItem, renderer: Renderer) -> Iterator[Made | str]:
    try:
        records = renderer.folder_files(folder)
    except ContractError as error:
        yield f"{target}: {error}"
        return
    for name, record in records.items():
        try:
            yield Made(f"{target}/{name}", folder.mode, renderer.render_record(record, folder.format))
        except ContractError as error:
            yield f"{target}/{name}: {error}"


def _shown(made: Made) -> str:
    text = made.content.decode(errors="replace")
    if "\ufffd" in text or "\0" in text:
        text = f"({len(made.content)} bytes that are no text)\n"
    head = console.paint(f"==> {made.path} ({made.mode:04o})", "bold")
    return f"{head}\n{text}" + ("" if text.endswith("\n") else "\n")


def _write(root: Path, made: Made) -> None:
    path = root / made.path.replace(": ", "/").lstrip("/")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(made.content)
    except OSError as error:
        raise console.Stop(f"{path}: {(error.strerror or str(error)).lower()}") from None
    console.note(f"{path} written")
