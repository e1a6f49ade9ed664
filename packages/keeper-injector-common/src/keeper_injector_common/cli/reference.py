"""``keeper-injector annotations``: the reference of all annotations, from the table that the parser reads."""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Iterable

from keeper_injector_common.annotations import ANNOTATIONS, PREFIX, Annotation
from keeper_injector_common.cli import console

HELP = "print the reference of all annotations"
DESCRIPTION = "Print every annotation with an example, its default and its meaning."
EXAMPLES = """\
examples:
  keeper-injector annotations                    Markdown, as in the documentation
  keeper-injector annotations -o json            for programs
"""
HEAD = f"""\
# Annotations

All begin with `{PREFIX}` and stand on the pod, or in a workload on its pod template. Switches accept `true/false`,
`yes/no`, `on/off` and `1/0`; durations are written `30s`, `5m`, `1h30m`. A value that cannot be read denies the pod, with
every problem at once; an unknown annotation is a warning.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("-o", "--output", choices=["md", "json"], default="md", help="how to say it (default: md)")


def run(options: argparse.Namespace) -> int:
    """Print the reference."""
    sys.stdout.write(markdown() if options.output == "md" else as_json())
    return console.FINE


def markdown() -> str:
    """Return the reference as Markdown, a table for each group."""
    groups = itertools.groupby(ANNOTATIONS, lambda item: item.group)
    return HEAD + "".join(_table(group, items) for group, items in groups)


def as_json() -> str:
    """Return the reference as one JSON document."""
    found = [
        {
            "annotation": item.key,
            "group": item.group,
            "example": item.example,
            "default": item.default or None,
            "defaultAllowed": item.default_allowed,
            "replacedBy": item.replaced_by or None,
            "meaning": item.help,
        }
        for item in ANNOTATIONS
    ]
    return json.dumps({"version": 1, "annotations": found}, ensure_ascii=False, indent=2) + "\n"


def default(item: Annotation) -> str:
    """Return the default as a reader wants it."""
    if item.replaced_by:
        return f"old name of `{item.replaced_by}`"
    chart = "; chart or namespace" if item.default_allowed else ""
    return f"`{item.default}`{chart}" if item.default else f"none{chart}"


def _table(group: str, annotations: Iterable[Annotation]) -> str:
    rows = [f"| `{item.name}` | `{item.example}` | {default(item)} | {item.help} |" for item in annotations]
    head = ["| annotation | example | default | meaning |", "|---|---|---|---|"]
    return "\n".join([f"\n## {group[0].upper()}{group[1:]}\n", *head, *rows, ""])
