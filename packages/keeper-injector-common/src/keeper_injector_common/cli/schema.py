"""``keeper-injector schema``: prints the JSON Schema of the annotation ``config`` or of the plan.

The schemas describe which keys exist and the types of their values, for editors and pipelines. The formats of strings, such as
durations, paths and references, are checked only by the parsers.
"""

from __future__ import annotations

import argparse
import json
import sys

from keeper_injector_common.annotations import config_keys
from keeper_injector_common.annotations.table import PREFIX
from keeper_injector_common.cli import console
from keeper_injector_common.plan import wire

DESCRIPTION = f"""\
Print the JSON Schema (draft 2020-12) of the value of {PREFIX}config,
or of the agent's plan.
"""
EXAMPLES = """\
examples:
  keeper-injector schema config > keeper-config.schema.json
  keeper-injector schema plan | jq .required
"""
_DRAFT = "https://json-schema.org/draft/2020-12/schema"
SCHEMAS = {
    "config": {"$schema": _DRAFT, "title": f"{PREFIX}config", **config_keys.json_schema()},
    "plan": {"$schema": _DRAFT, "title": "The agent's plan", **wire.json_schema()},
}
"""The schemas by the name of what they describe."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument(
        "of", nargs="?", choices=SCHEMAS, default="config", help="what the schema describes (default: config)"
    )


def run(options: argparse.Namespace) -> int:
    """Print the schema; return the exit code."""
    sys.stdout.write(json.dumps(SCHEMAS[options.of], ensure_ascii=False, indent=2) + "\n")
    return console.EXIT_OK
