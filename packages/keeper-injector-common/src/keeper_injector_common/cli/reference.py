"""``keeper-injector annotations``: the reference of all annotations, from the table that the parser reads."""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from keeper_injector_common.annotations.table import ANNOTATIONS, PREFIX, Annotation
from keeper_injector_common.cli import console
from keeper_injector_common.cli.schema import CONFIG

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
every problem at once; an unknown annotation is a warning. `none` as an amount of the agent's CPU or memory leaves that out of its
resources; in the column of defaults it says that there is none.
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
    return HEAD + "".join(_table(group, items) for group, items in groups) + "".join(_config())


def as_json() -> str:
    """Return the reference as one JSON document."""
    found = [
        {
            "annotation": item.key,
            "group": item.group,
            "example": item.example,
            "default": item.default or None,
            "chartValue": item.chart_value or None,
            "values": list(item.words) or None,
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
    found = f"`{item.default}`" if item.default else "none"
    if item.chart_value:
        found = f"the chart's `{item.chart_value}`"
    return f"{found}; chart or namespace" if item.default_allowed else found


def meaning(item: Annotation) -> str:
    """Return what an annotation means, and all that may stand there where that can be listed."""
    return f"{item.help} One of {_listed(item.words)}." if item.words else item.help


def _listed(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _table(group: str, annotations: Iterable[Annotation]) -> str:
    rows = [f"| `{item.name}` | `{item.example}` | {default(item)} | {meaning(item)} |" for item in annotations]
    head = ["| annotation | example | default | meaning |", "|---|---|---|---|"]
    return "\n".join([f"\n## {group[0].upper()}{group[1:]}\n", *head, *rows, ""])


def _config() -> Iterator[str]:
    """Iterate over the tables of the YAML document's keys, from the schema that editors read."""
    yield "\n## Keys of `config`\n\nThe value is one YAML document: `secrets:` and `folders:`, each with a list of these.\n"
    for name, holder in CONFIG["properties"].items():
        rows = [
            f"| `{key}` | {_kind(schema)} | {_described(schema)} |"
            for key, schema in holder["items"]["properties"].items()
        ]
        yield "\n".join([f"\n### `{name}:`\n", "| key | kind | meaning |", "|---|---|---|", *rows, ""])


def _kind(schema: dict[str, Any]) -> str:
    kinds = {"string": "text", "boolean": "switch", "array": "list of texts", "object": "mapping of texts"}
    return kinds[schema["type"]]


def _described(schema: dict[str, Any]) -> str:
    words = schema.get("enum")
    return f"{schema['description']} One of {_listed(words)}." if words else str(schema["description"])
