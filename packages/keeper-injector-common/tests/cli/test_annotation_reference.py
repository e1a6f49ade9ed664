"""``keeper-injector annotations``: prints the reference of all annotations."""

from __future__ import annotations

import json
from pathlib import Path

from command_line import run

from keeper_injector_common.annotations import config_keys
from keeper_injector_common.annotations.table import ANNOTATIONS


def test_the_default_of_resources_is_that_of_the_chart() -> None:
    """The default is shown as the chart's, because the value ``none`` would mean that the limit is removed."""
    assert run("explain", "annotation", "agent-limits-memory").output.splitlines()[3:] == [
        "  default: the chart's agent.resources; chart or namespace"
    ]


def test_every_key_of_the_config_annotation_is_listed() -> None:
    """The tables of keys have the same keys as the JSON Schema, in the same order."""
    _, _, table = run("annotations").output.partition("## Keys of `config`")
    shown = [line.split("`")[1] for line in table.splitlines() if line.startswith("| `")]
    properties = [
        config_keys.json_schema()["properties"][name]["items"]["properties"] for name in ("secrets", "folders")
    ]
    assert shown == [key for held in properties for key in held]


def test_the_reference_is_that_of_the_documentation() -> None:
    """The command prints the page of the documentation, and the same annotations as JSON."""
    document = (Path(__file__).parents[2] / "docs/annotations.md").read_text(encoding="utf-8")
    assert document.endswith(run("annotations").output)
    found = json.loads(run("annotations", "-o", "json").output)["annotations"]
    assert [item["annotation"] for item in found] == [item.key for item in ANNOTATIONS]
