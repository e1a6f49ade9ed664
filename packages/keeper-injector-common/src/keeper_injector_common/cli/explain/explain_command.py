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
from keeper_injector_common.json_values import Json

DESCRIPTION = f"""\
Describe what the annotations of each workload will do, as a tree: which files
and environment variables each container gets, the mode and owner of the files,
how often secrets are fetched from Keeper, and what happens when one changes.

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

  # Write the trees as JSON.
  keeper-injector explain -o json deployment.yaml

  # Describe one annotation.
  keeper-injector explain annotation refresh-interval
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="manifest, directory, or - for standard input; or: annotation KEY"
    )
    inputs.add_defaults(parser)
    parser.add_argument(
        "-o", "--output", choices=["text", "json"], default="text", help="output format (default: %(default)s)"
    )


def run(options: argparse.Namespace) -> int:
    """Print the explanation; return the exit code."""
    first, *keys = options.files
    if first == "annotation" and keys:
        sys.stdout.write("\n".join(map(describe_annotation, keys)))
        return console.EXIT_OK
    code = console.EXIT_OK
    explained: list[Json] = []
    chart = inputs.read_chart(options)
    check = webhook_rules.for_settings(chart, options.namespace)
    failures = inputs.Failures()
    for file, workload in inputs.read_workloads(map(Path, options.files), failures):
        try:
            tree = _explain(workload, *inputs.rules_for(workload, chart, options.namespace), check)
        except AnnotationsError as error:
            code = console.EXIT_PROBLEMS
            problems = [Node(f"problem: {problem}", color="red") for problem in error.problems]
            warnings = [Node(f"warning: {warning}", color="yellow") for warning in error.warnings]
            tree = Node(workload.label, (*problems, *warnings))
        position = {"file": str(file), "line": workload.position.line}
        explained.append({**position, "workload": workload.name, "explanation": _as_json(tree.children)})
        if options.output == "text":
            lines = [console.colored(console.visible(tree.text), "bold"), *_draw(tree.children)]
            sys.stdout.write("\n".join(lines) + "\n")
    if options.output == "json":
        sys.stdout.write(console.json_text({"version": 1, "workloads": explained}))
    if not explained and not failures.count:
        console.report_no_workloads()
    return console.EXIT_ERROR if failures.count else code


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
    preferred = f"preferred name: {PREFIX}{item.preferred_name}"
    default = f"default: {describe_default(item).replace('`', '')}"
    lines = [
        item.key,
        item.help,
        f"example: {item.example}",
        default if item.preferred_name == item.name else preferred,
    ]
    if item.words:
        lines.append(f"values: {', '.join(item.words)}")
    return "\n  ".join(lines) + "\n"


def _draw(nodes: Iterable[Node], indent: str = "") -> Iterator[str]:
    """Iterate over the lines of a tree, drawn as ``tree`` does."""
    items = list(nodes)
    for number, node in enumerate(items):
        last = number == len(items) - 1
        text = console.visible(node.text)
        yield f"{indent}{'└─' if last else '├─'} {console.colored(text, node.color) if node.color else text}"
        yield from _draw(node.children, indent + ("   " if last else "│  "))


def _as_json(nodes: Iterable[Node]) -> list[Json]:
    return [{"text": node.text, "lines": _as_json(node.children)} for node in nodes]
