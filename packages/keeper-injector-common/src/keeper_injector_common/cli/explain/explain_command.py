"""The command ``keeper-injector explain``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from keeper_injector_common.annotations.parser import wants_injection
from keeper_injector_common.annotations.policy import Policy
from keeper_injector_common.annotations.table import PREFIX, find, nearest
from keeper_injector_common.cli import console, inputs, webhook_rules
from keeper_injector_common.cli.annotation_reference import describe_default
from keeper_injector_common.cli.checks import non_string_annotations
from keeper_injector_common.cli.explain.explanation import Node, explain_workload
from keeper_injector_common.cli.manifests import Workload
from keeper_injector_common.cli.webhook_rules import Verdict
from keeper_injector_common.errors import AnnotationsError

DESCRIPTION = f"""\
Describe what the annotations of each workload will do: which files and
environment variables each container gets, who owns the files, how often
secrets are fetched from Keeper, and what the application must do to see a
change.

With "annotation KEY", describe one annotation. You can omit the prefix
{PREFIX}.

exit codes: 0 success, 1 annotations are invalid, 2 a file cannot be read or
the arguments are invalid
"""
EXAMPLES = """\
examples:
  # Describe a file, or the output of another program.
  keeper-injector explain deployment.yaml
  kubectl get deployment shop -o yaml | keeper-injector explain -

  # Use the annotation defaults and the policy of the injector's chart.
  keeper-injector explain --defaults values.yaml deployment.yaml

  # Describe one annotation.
  keeper-injector explain annotation refresh-interval
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="manifest, directory, or - for standard input; or: annotation KEY"
    )
    inputs.add_defaults(parser)


def run(options: argparse.Namespace) -> int:
    """Print the explanation; return the exit code."""
    first, *keys = options.files
    if first == "annotation" and keys:
        sys.stdout.write("\n".join(map(describe_annotation, keys)))
        return console.EXIT_OK
    code, found = console.EXIT_OK, False
    chart = inputs.read_chart(options)
    check = webhook_rules.for_settings(chart, options.namespace)
    for _, workload in inputs.read_workloads(map(Path, options.files)):
        found = True
        try:
            tree = _explain(workload, *inputs.rules_for(workload, chart, options.namespace), check)
        except AnnotationsError as error:
            code = console.EXIT_PROBLEMS
            problems = [Node(f"problem: {problem}") for problem in error.problems]
            warnings = [Node(f"warning: {warning}") for warning in error.warnings]
            tree = Node(workload.label, (*problems, *warnings))
        sys.stdout.write("\n".join([console.colored(tree.text, "bold"), *_draw(tree.children)]) + "\n")
    if not found:
        console.report_no_workloads()
    return code


def _explain(
    workload: Workload, defaults: Mapping[str, str], policy: Policy, check: Callable[[Workload], Verdict]
) -> Node:
    """Return the explanation with the warnings of *check*; raise AnnotationsError with its problems."""
    if non_string_annotations(workload) or not wants_injection(workload.annotations):
        return explain_workload(workload, defaults, policy)
    rejected, warnings = check(workload)
    if rejected:
        raise AnnotationsError(rejected, warnings)
    return explain_workload(workload, defaults, policy, warnings)


def describe_annotation(key: str) -> str:
    """Return the meaning, an example, the default and the values of one annotation.

    Raises :class:`~keeper_injector_common.cli.console.CommandError` if it does not exist.
    """
    name = key.removeprefix(PREFIX)
    found = find(name)
    if found is None:
        near = nearest(name)
        advice = (
            f"did you mean {near.removeprefix(PREFIX)}?" if near else "to list all, run: keeper-injector annotations"
        )
        raise console.CommandError(f"{key}: unknown annotation; {advice}")
    item, _ = found
    lines = [item.key, item.help, f"example: {item.example}", f"default: {describe_default(item).replace('`', '')}"]
    if item.words:
        lines.append(f"values: {', '.join(item.words)}")
    return "\n  ".join(lines) + "\n"


def _draw(nodes: Iterable[Node], indent: str = "") -> Iterator[str]:
    """Iterate over the lines of a tree, drawn as ``tree`` does."""
    items = list(nodes)
    for number, node in enumerate(items):
        last = number == len(items) - 1
        yield f"{indent}{'└─' if last else '├─'} {node.text}"
        yield from _draw(node.children, indent + ("   " if last else "│  "))
