"""``keeper-injector lint``: reports every problem that the webhook would find in the annotations of manifests."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import attrs

from keeper_injector_common.annotations.parser import NO_DEFAULTS
from keeper_injector_common.annotations.policy import NO_POLICY, Policy
from keeper_injector_common.annotations.table import PREFIX
from keeper_injector_common.cli import console, inputs, reports, webhook_rules
from keeper_injector_common.cli.checks import Finding, check_workload
from keeper_injector_common.cli.manifest_yaml import ManifestError, Position
from keeper_injector_common.cli.manifests import Workload, workloads
from keeper_injector_common.cli.webhook_rules import Verdict

DESCRIPTION = f"""\
Check the {PREFIX} annotations of every workload in manifests. Each
problem is reported with its line and a fix. A file may hold several documents
and Lists, such as the output of helm and kustomize. If the package
keeper-injector-webhook is installed, its rules about the pod template are
applied too, so that the webhook rejects no pod that passes.

exit codes: 0 no problems, 1 problems found, 2 a file cannot be read or the
arguments are invalid
"""
EXAMPLES = """\
examples:
  # Check a file, or a directory; the latter exits with 1 for warnings too.
  keeper-injector lint deployment.yaml
  keeper-injector lint --strict manifests/

  # Use the annotation defaults and the policy of the injector's chart.
  keeper-injector lint --defaults values.yaml deployment.yaml

  # Check the output of Helm or kustomize.
  helm template ./chart | keeper-injector lint -
  kustomize build overlays/production | keeper-injector lint -

  # Annotate the lines of a pull request on GitHub, or write a report for code scanning.
  keeper-injector lint -o github manifests/
  keeper-injector lint -o sarif manifests/ > keeper.sarif
"""


@attrs.frozen
class LintResult:
    """What was found in one file."""

    findings: tuple[Finding, ...] = ()
    """In the order of their lines."""
    workloads: tuple[Workload, ...] = attrs.field(default=(), repr=False)
    unreadable: bool = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    inputs.add_files(parser)
    parser.add_argument("--strict", action="store_true", help="exit with 1 for warnings too")
    inputs.add_defaults(parser)
    parser.add_argument("-o", "--output", choices=reports.FORMATS, default="text", help="output format (default: text)")


def run(options: argparse.Namespace) -> int:
    """Print all findings and a summary; return the exit code."""
    chart = inputs.read_chart(options)
    check = webhook_rules.for_settings(chart, options.namespace)
    failures = inputs.Failures()
    results = list(
        lint_files(options.files, failures, lambda item: inputs.rules_for(item, chart, options.namespace), check)
    )
    if options.output == "text":
        # They are on standard error. A program that reads a report does not see that.
        results = [result for result in results if not result.unreadable]
    findings = [finding for result in results for finding in result.findings]
    sys.stdout.write(reports.FORMATS[options.output](findings))
    sys.stdout.flush()
    warnings = sum(finding.is_warning for finding in findings)
    problems = len(findings) - warnings
    _print_summary(
        [workload for result in results for workload in result.workloads], problems, warnings, failures.count
    )
    if failures.count:
        return console.EXIT_ERROR
    return console.EXIT_PROBLEMS if problems or (options.strict and warnings) else console.EXIT_OK


def lint_files(
    paths: Sequence[Path],
    failures: inputs.Failures,
    rules_for: Callable[[Workload], tuple[Mapping[str, str], Policy]],
    check: Callable[[Workload], Verdict],
) -> Iterator[LintResult]:
    """Check each file, see :func:`lint_text`. One that cannot be read is reported to *failures*, and is a finding too."""
    for file in inputs.manifest_files(paths):
        try:
            yield lint_text(str(file), inputs.read_text(file), rules_for, check)
        except inputs.UnreadableFileError as error:
            failures.report(error)
            finding = Finding(str(file), Position(), "unreadable-file", error.found, error.right)
            yield LintResult((finding,), unreadable=True)


def lint_text(
    file: str,
    text: str,
    rules_for: Callable[[Workload], tuple[Mapping[str, str], Policy]] = lambda _: (NO_DEFAULTS, NO_POLICY),
    check: Callable[[Workload], Verdict] = lambda _: ((), ()),
) -> LintResult:
    """Check the workloads of *text*, the content of *file*.

    *rules_for* returns the annotation defaults and the policy for a workload, and *check* what the webhook finds in its pods.
    """
    findings: list[Finding] = []
    found: list[Workload] = []
    lines = text.splitlines()
    try:
        for workload in workloads(text):
            found.append(workload)
            findings += check_workload(file, workload, lines, *rules_for(workload), check=check)
    except ManifestError as error:
        findings.append(Finding(file, error.position, "invalid-yaml", error.found, error.right))
    return LintResult(tuple(sorted(findings, key=lambda finding: finding.position)), tuple(found))


def _print_summary(found: Sequence[Workload], problems: int, warnings: int, unreadable: int) -> None:
    if not (found or problems or warnings or unreadable):
        console.report_no_workloads()
    annotated = sum(any(key.startswith(PREFIX) for key in item.annotations) for item in found)
    color = "red" if problems else "yellow" if warnings else "green"
    counts = console.colored(f"{_count(problems, 'problem')}, {_count(warnings, 'warning')}", color, sys.stderr)
    print(f"{_count(len(found), 'workload')}, {annotated} of them annotated: {counts}", file=sys.stderr)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
