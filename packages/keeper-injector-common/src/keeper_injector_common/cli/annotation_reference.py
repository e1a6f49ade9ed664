"""``keeper-injector annotations``: prints the reference of all annotations, from the table that the parser uses."""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from keeper_injector_common.annotations import config_keys
from keeper_injector_common.annotations.table import ANNOTATIONS, PREFIX, Annotation
from keeper_injector_common.cli import console

DESCRIPTION = "Print all annotations, each with an example, its default and its meaning."
EXAMPLES = """\
examples:
  # Print Markdown, as in the documentation, or JSON.
  keeper-injector annotations
  keeper-injector annotations -o json
"""
_INTRODUCTION = f"""\
# Annotations

All names begin with `{PREFIX}`. Set annotations on the pod, or on the pod template of a workload. Switches accept `true/false`,
`yes/no`, `on/off` and `1/0`. Write durations as `30s`, `5m` or `1h30m`. If a value is invalid, the webhook rejects the pod and
reports every problem at once. An unknown annotation causes a warning. `none` as an amount of the agent's CPU or memory omits
that amount from its resources; in the column of defaults, `none` means that there is no default.

The directory of each path is a new memory volume, mounted read-only. What the image has in that directory is hidden, so choose a separate
directory: `/app/secrets/db.json` and not `/app/db.json`.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument("-o", "--output", choices=["md", "json"], default="md", help="output format (default: md)")


def run(options: argparse.Namespace) -> int:
    """Print the reference; return the exit code."""
    sys.stdout.write(as_markdown() if options.output == "md" else _as_json())
    return console.EXIT_OK


def as_markdown() -> str:
    """Return the reference as Markdown, with a table for each group of annotations."""
    groups = itertools.groupby(ANNOTATIONS, lambda item: item.group)
    return _INTRODUCTION + "".join(_table(group, items) for group, items in groups) + "".join(_config())


def _as_json() -> str:
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
            "aliasOf": item.alias_of or None,
            "meaning": item.help,
        }
        for item in ANNOTATIONS
    ]
    return json.dumps({"version": 1, "annotations": found}, ensure_ascii=False, indent=2) + "\n"


def describe_default(item: Annotation) -> str:
    """Return the default of an annotation, and who else may set it, as Markdown."""
    if item.replaced_by:
        return f"old name of `{item.replaced_by}`"
    if item.alias_of:
        return f"another name of `{item.alias_of}`"
    found = f"`{item.default}`" if item.default else "none"
    if item.chart_value:
        found = f"the chart's `{item.chart_value}`"
    return f"{found}; chart or namespace" if item.default_allowed else found


def _meaning(item: Annotation) -> str:
    """Return the meaning of an annotation, with its values if they can be listed."""
    return f"{item.help} One of {_listed(item.words)}." if item.words else item.help


def _listed(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _table(group: str, annotations: Iterable[Annotation]) -> str:
    rows = [
        f"| `{item.name}` | `{item.example}` | {describe_default(item)} | {_meaning(item)} |" for item in annotations
    ]
    head = ["| annotation | example | default | meaning |", "|---|---|---|---|"]
    return "\n".join([f"\n## {group[0].upper()}{group[1:]}\n", *head, *rows, ""])


def _config() -> Iterator[str]:
    """Iterate over the tables of the keys of the annotation ``config``, from its JSON Schema."""
    yield "\n## Keys of `config`\n\nThe value is one YAML document. `secrets:` and `folders:` each hold a list of entries with these keys.\n"
    for name, entries in config_keys.json_schema()["properties"].items():
        rows = [
            f"| `{key}` | {_type_of(schema)} | {_description(schema)} |"
            for key, schema in entries["items"]["properties"].items()
        ]
        yield "\n".join([f"\n### `{name}:`\n", "| key | type | meaning |", "|---|---|---|", *rows, ""])


def _type_of(schema: dict[str, Any]) -> str:
    names = {"string": "string", "boolean": "boolean", "array": "list of strings", "object": "mapping of strings"}
    return names[schema["type"]]


def _description(schema: dict[str, Any]) -> str:
    words = schema.get("enum")
    return f"{schema['description']} One of {_listed(words)}." if words else str(schema["description"])
