"""``keeper-injector explain``: what annotations will do, in words."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from keeper_injector_common.annotations.table import ANNOTATIONS, PREFIX, Annotation
from keeper_injector_common.cli import chart, console
from keeper_injector_common.cli.explain.explanation import Node, explained
from keeper_injector_common.cli.manifests import UnreadableManifest, workloads
from keeper_injector_common.cli.reference import default
from keeper_injector_common.errors import AnnotationsError
from keeper_injector_common.suggestions import nearest_words

HELP = "say in words what annotations will do"
DESCRIPTION = f"""\
Say for every workload which files and variables its containers get, who owns them, how often Keeper is asked, and what the
application must do to see a change; or what one annotation means.

exit codes: 0 explained, 1 annotations that cannot be followed, 2 a file cannot be read or the command is misused

The prefix {PREFIX} may be left out.
"""
EXAMPLES = """\
examples:
  keeper-injector explain deployment.yaml
  keeper-injector explain --defaults values.yaml deployment.yaml     with the defaults of the injector's chart
  kubectl get deployment shop -o yaml | keeper-injector explain -
  keeper-injector explain annotation refresh-interval
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="manifest, directory, -, or: annotation KEY")
    chart.arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Print the explanation; returns the exit code."""
    first, *rest = options.files
    if first == "annotation" and rest:
        sys.stdout.write("\n".join(annotation(key) for key in rest))
        return console.FINE
    code, found = console.FINE, False
    defaults = chart.read(options)
    for file in console.files(map(Path, options.files)):
        try:
            for workload in workloads(console.read(file)):
                found = True
                try:
                    tree = explained(workload, chart.within(defaults, workload, options))
                except AnnotationsError as error:
                    code = console.PROBLEMS
                    said = [f"problem: {problem}" for problem in error.problems]
                    said += [f"warning: {warning}" for warning in error.warnings]
                    tree = Node(workload.label, tuple(map(Node, said)))
                sys.stdout.write("\n".join([console.paint(tree.text, "bold"), *_lines(tree.below)]) + "\n")
        except UnreadableManifest as error:
            raise console.Stop(f"{file}:{error.place.line}:{error.place.column}: {error}") from None
    if not found:
        console.nothing_found()
    return code


def annotation(key: str) -> str:
    """Return what one annotation means; raises :class:`~keeper_injector_common.cli.console.Stop`."""
    name = key.removeprefix(PREFIX)
    found = [item for item in ANNOTATIONS if item.name == name or (item.stem and name.startswith(item.stem))]
    exact: list[Annotation] = [item for item in found if item.name == name] or found
    if not exact:
        near = nearest_words(name, (item.name for item in ANNOTATIONS))
        advice = f"did you mean {near[0]}?" if near else "keeper-injector annotations lists all"
        raise console.Stop(f"{key}: no annotation of ours; {advice}")
    item = exact[0]
    lines = [item.key, item.help, f"example: {item.example}", f"default: {default(item).replace('`', '')}"]
    if item.words:
        lines.append(f"values: {', '.join(item.words)}")
    return "\n  ".join(lines) + "\n"


def _lines(nodes: Iterable[Node], indent: str = "") -> Iterator[str]:
    items = list(nodes)
    for number, node in enumerate(items):
        last = number == len(items) - 1
        yield f"{indent}{'└─' if last else '├─'} {node.text}"
        yield from _lines(node.below, indent + ("   " if last else "│  "))
