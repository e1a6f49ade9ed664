"""``keeper-injector schema``: JSON Schema of the YAML annotation and of the plan, for editors and pipelines.

The schemas say what may stand where; what a text must look like (durations, paths, references) the parsers say.
"""

from __future__ import annotations

import argparse
import json
import sys

from keeper_injector_common.annotations import config_keys
from keeper_injector_common.annotations.table import PREFIX
from keeper_injector_common.cli import console
from keeper_injector_common.plan import wire

DESCRIPTION = f"Print the JSON Schema (draft 2020-12) of the value of {PREFIX}config, or of the agent's plan."
EXAMPLES = """\
examples:
  keeper-injector schema config > keeper-config.schema.json
  keeper-injector schema plan | jq .required
"""
DRAFT = "https://json-schema.org/draft/2020-12/schema"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument("of", nargs="?", choices=sorted(SCHEMAS), default="config", help="which one (default: config)")


def run(options: argparse.Namespace) -> int:
    """Print the schema."""
    sys.stdout.write(json.dumps(SCHEMAS[options.of], ensure_ascii=False, indent=2) + "\n")
    return console.EXIT_OK


CONFIG = {"$schema": DRAFT, "title": f"{PREFIX}config", **config_keys.json_schema()}
PLAN = {"$schema": DRAFT, "title": "The agent's plan", **wire.json_schema()}
SCHEMAS = {"config": CONFIG, "plan": PLAN}
