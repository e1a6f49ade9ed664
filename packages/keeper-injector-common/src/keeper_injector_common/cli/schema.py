"""``keeper-injector schema``: JSON Schema of the YAML annotation and of the plan, for editors and pipelines.

The schemas say what may stand where; what a text must look like (durations, paths, references) the parsers say.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from keeper_injector_common.annotations.config import BY_TEMPLATE
from keeper_injector_common.annotations.table import PREFIX, SECRET_MODES
from keeper_injector_common.cli import console
from keeper_injector_common.json_values import Json
from keeper_injector_common.plan.delivery import FORMATS
from keeper_injector_common.plan.wire import json_schema

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


def _text(description: str, **more: Any) -> Json:
    return {"type": "string", "minLength": 1, "description": description, **more}


def _texts(description: str) -> Json:
    return {"type": "array", "items": {"type": "string", "minLength": 1}, "description": description}


def _switch(description: str) -> Json:
    return {"type": "boolean", "description": description}


def _object(properties: Json, *required: str, **more: Any) -> Json:
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        **({"required": list(required)} if required else {}),
        **more,
    }


def _list(items: Json, description: str) -> Json:
    return {"type": "array", "items": items, "description": description}


_MODE = {"type": "string", "pattern": "^0?[0-7]{3}$"}
_FORMAT = _text("How the file is written; by the path's suffix when left out.", enum=list(FORMATS))
_CONTAINERS = {**_texts("Containers that receive it; all when left out."), "minItems": 1}
_SECRET = _object(
    {
        "record": _text("Title, UID or folder path of a record, or a part of one: `db[password]`."),
        "notation": _text("Keeper notation."),
        "records": {**_texts("Several records, for a template."), "minItems": 1},
        "file": _text("Name of an attached file of `record`."),
        "fileName": _text("Other name of `file`."),
        "path": _text("Absolute path of the file; in `/keeper/secrets` when left out."),
        "fields": _texts("Only these fields."),
        "format": {**_FORMAT, "enum": [*FORMATS, BY_TEMPLATE]},
        "template": _text("Go template, instead of a format."),
        "mode": {**_MODE, "description": "Mode of the file, in quotes; derived from the pod when left out."},
        "containers": _CONTAINERS,
        "injectAsEnvVars": _switch("Fields as environment variables."),
        "envPrefix": {"type": "string", "description": "What the names of the variables begin with."},
        "injectAsK8sSecret": _switch("Write a Kubernetes Secret."),
        "k8sSecretName": _text("Name of the Secret."),
        "k8sSecretKeys": {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "description": "What becomes which key, as `field: key` or `file: key`; all fields under their own names when left out.",
        },
        "k8sSecretType": _text("Type of the Secret; `Opaque` when left out."),
        "k8sSecretMode": _text(
            "What happens to one that is there; `overwrite` when left out.", enum=list(SECRET_MODES)
        ),
        "k8sSecretRotation": _switch("Update it with each refresh; else only a new pod writes it."),
        "k8sSecretOwnerRef": _switch("Let it go with the last of the pods that wrote it; so it does when left out."),
    },
    oneOf=[{"required": ["record"]}, {"required": ["notation"]}, {"required": ["records"]}],
)
_FOLDER = _object(
    {
        "path": _text("Folder by the names of folders."),
        "folderPath": _text("Other name of `path`."),
        "uid": _text("Folder by its UID."),
        "folderUid": _text("Other name of `uid`."),
        "outputPath": _text("Directory of the files; `/keeper/secrets` when left out."),
        "recursive": _switch("The folders below it too."),
        "format": {**_FORMAT, "description": "How the files are written; `json` when left out."},
        "containers": _CONTAINERS,
    },
    oneOf=[{"required": [key]} for key in ("path", "folderPath", "uid", "folderUid")],
)
CONFIG = {
    "$schema": DRAFT,
    "title": f"{PREFIX}config",
    **_object({"secrets": _list(_SECRET, "Records to inject."), "folders": _list(_FOLDER, "Folders to inject.")}),
}
PLAN = {"$schema": DRAFT, "title": "The agent's plan", **json_schema()}
SCHEMAS = {"config": CONFIG, "plan": PLAN}
