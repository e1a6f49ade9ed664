"""``keeper-injector lint``: the annotations of all workloads in manifests, judged as the webhook will judge them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from keeper_injector_common.annotations.parser import NO_DEFAULTS
from keeper_injector_common.annotations.table import PREFIX
from keeper_injector_common.cli import chart, console, reports
from keeper_injector_common.cli.checks import Finding, check
from keeper_injector_common.cli.manifests import Place, UnreadableManifest, Workload, workloads

HELP = "name every problem of the annotations in manifests"
DESCRIPTION = f"""\
Read manifests (several documents in a file, Lists, what helm and kustomize print) and name every problem of the {PREFIX}
annotations of every workload, with its line and what would be right. What only a pod as a whole can show, such as two
volumes on one path, is the webhook's: keeper-injector-webhook preview.

exit codes: 0 nothing wrong, 1 problems, 2 a file cannot be read or the command is misused
"""
EXAMPLES = """\
examples:
  keeper-injector lint deployment.yaml
  keeper-injector lint --strict manifests/                       directories too; warnings count as problems
  keeper-injector lint --defaults values.yaml deployment.yaml    with the defaults of the injector's chart
  helm template ./chart | keeper-injector lint -
  kustomize build overlays/production | keeper-injector lint -
  keeper-injector lint -o github manifests/                      beside the lines of a pull request
  keeper-injector lint -o sarif manifests/ > keeper.sarif        for code scanning
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="manifest, directory, or - for standard input"
    )
    parser.add_argument("--strict", action="store_true", help="let warnings fail too")
    chart.arguments(parser)
    parser.add_argument("-o", "--output", choices=reports.FORMATS, default="text", help="how to say it (default: text)")


def run(options: argparse.Namespace) -> int:
    """Print what is wrong; returns the exit code."""
    findings: list[Finding] = []
    found: list[Workload] = []
    unreadable = 0
    defaults = chart.read(options)
    for file in console.files(options.files):
        try:
            text = console.read(file)
        except console.Unreadable as error:
            console.note(str(error))
            unreadable += 1
            # Programs that read the output see no standard error.
            if options.output != "text":
                findings.append(Finding(str(file), Place(), "unreadable", error.reason))
            continue
        findings += findings_of(str(file), text, found, lambda item: chart.within(defaults, item, options))
    sys.stdout.write(reports.FORMATS[options.output](findings))
    sys.stdout.flush()
    warnings = sum(finding.is_warning for finding in findings)
    problems = len(findings) - warnings
    injected = sum(any(key.startswith(PREFIX) for key in item.annotations) for item in found)
    if not (found or findings or unreadable):
        console.nothing_found()
    _summarise(f"{_count(len(found), 'workload')}, {injected} of them annotated", problems, warnings)
    if unreadable:
        return console.UNUSABLE
    return console.PROBLEMS if problems or (options.strict and warnings) else console.FINE


def findings_of(
    file: str,
    text: str,
    found: list[Workload] | None = None,
    defaults_for: Callable[[Workload], Mapping[str, str]] = lambda _: NO_DEFAULTS,
) -> list[Finding]:
    """Return what is wrong or odd in a text, in its order; adds its workloads to *found*."""
    findings: list[Finding] = []
    lines = text.splitlines()
    try:
        for workload in workloads(text):
            if found is not None:
                found.append(workload)
            findings += check(file, workload, lines, defaults_for(workload))
    except UnreadableManifest as error:
        findings.append(Finding(file, error.place, "yaml", str(error)))
    return sorted(findings, key=lambda finding: finding.place)


def _summarise(counted: str, problems: int, warnings: int) -> None:
    colour = "red" if problems else "yellow" if warnings else "green"
    said = f"{_count(problems, 'problem')}, {_count(warnings, 'warning')}"
    print(f"{counted}: {console.paint(said, colour, sys.stderr)}", file=sys.stderr)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
