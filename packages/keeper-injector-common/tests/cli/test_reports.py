"""``keeper-injector lint``: reports for programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from command_line import MANIFESTS, run
from hypothesis import given
from hypothesis import strategies as st

from keeper_injector_common.cli.checks import RULES, Finding
from keeper_injector_common.cli.manifest_yaml import Position
from keeper_injector_common.cli.reports import FORMATS


def test_json_for_programs() -> None:
    """The JSON report has all parts of a finding in fields, and the fix on its own."""
    found = json.loads(run("lint", "-o", "json", str(MANIFESTS / "deployment.yaml")).output)
    assert found["findings"][1] == {
        "file": str(MANIFESTS / "deployment.yaml"),
        "line": 27,
        "column": 13,
        "level": "error",
        "rule": "invalid-value",
        "workload": "CronJob/bad",
        "annotation": "keeper.security/refresh-interval",
        "message": "'5x' is not a duration; write 30s, 5m or 1h30m",
        "fix": "write 30s, 5m or 1h30m",
    }


@pytest.mark.parametrize("form", ["json", "github", "sarif"])
def test_an_unreadable_file_is_a_finding_for_programs(form: str, tmp_path: Path) -> None:
    """A report has a finding for an unreadable file, because an empty report would mean that there are no problems."""
    found = run("lint", "-o", form, str(tmp_path / "none.yaml"), str(MANIFESTS / "rendered.yaml"))
    assert (found.code, "no such file or directory; name a file that can be read" in found.output) == (2, True)
    assert "Deployment/shop" in found.output


def test_github_commands_are_escaped() -> None:
    """Percent signs, line breaks and commas are escaped in workflow commands."""
    text = 'kind: Pod\nmetadata: {annotations: {keeper.security/inject: "%\\n::x"}}\nspec: {}\n'
    (line,) = run("lint", "-o", "github", "-", text=text).output.splitlines()
    assert line.startswith("::error file=-,line=2,col=")
    assert "'%25\\n::x' is neither true nor false" in line


SARIF: dict[str, Any] = {
    "type": "object",
    "required": ["version", "runs"],
    "additionalProperties": False,
    "properties": {
        "$schema": {"type": "string", "format": "uri"},
        "version": {"const": "2.1.0"},
        "runs": {"type": "array", "items": {"$ref": "#/$defs/run"}},
    },
    "$defs": {
        "message": {"type": "object", "required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}}},
        "run": {
            "type": "object",
            "required": ["tool", "results"],
            "additionalProperties": False,
            "properties": {
                "tool": {
                    "required": ["driver"],
                    "properties": {
                        "driver": {
                            "required": ["name", "rules"],
                            "properties": {
                                "name": {"type": "string"},
                                "version": {"type": "string"},
                                "rules": {
                                    "type": "array",
                                    "uniqueItems": True,
                                    "items": {
                                        "required": ["id"],
                                        "properties": {
                                            "shortDescription": {"$ref": "#/$defs/message"},
                                            "defaultConfiguration": {
                                                "properties": {"level": {"enum": ["none", "note", "warning", "error"]}}
                                            },
                                        },
                                    },
                                },
                            },
                        }
                    },
                },
                "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                "results": {"type": "array", "items": {"$ref": "#/$defs/result"}},
            },
        },
        "result": {
            "type": "object",
            "required": ["message", "ruleId", "locations"],
            "additionalProperties": False,
            "properties": {
                "ruleId": {"type": "string"},
                "ruleIndex": {"type": "integer", "minimum": -1},
                "level": {"enum": ["none", "note", "warning", "error"]},
                "message": {"$ref": "#/$defs/message"},
                "locations": {
                    "type": "array",
                    "items": {
                        "required": ["physicalLocation"],
                        "properties": {
                            "physicalLocation": {
                                "required": ["artifactLocation", "region"],
                                "properties": {
                                    "artifactLocation": {
                                        "required": ["uri"],
                                        "properties": {"uri": {"type": "string", "pattern": r"^[\w%./~-]+$"}},
                                    },
                                    "region": {
                                        "required": ["startLine"],
                                        "properties": {
                                            "startLine": {"type": "integer", "minimum": 1},
                                            "startColumn": {"type": "integer", "minimum": 1},
                                        },
                                    },
                                },
                            }
                        },
                    },
                },
            },
        },
    },
}
"""The requirements of SARIF 2.1.0 (OASIS standard, sections 3.13 to 3.30) for the parts that are written here."""


def test_sarif_is_valid() -> None:
    """The SARIF report follows the standard, and each result has a rule with a description."""
    log = json.loads(run("lint", "-o", "sarif", str(MANIFESTS)).output)
    jsonschema.validate(log, SARIF)
    (found,) = log["runs"]
    rules = found["tool"]["driver"]["rules"]
    assert len(found["results"]) > 10
    assert all(rules[item["ruleIndex"]]["id"] == item["ruleId"] for item in found["results"])


@given(st.text(min_size=1), st.text(min_size=1), st.sampled_from(sorted(RULES)))
def test_any_finding_is_valid_sarif(file: str, message: str, rule: str) -> None:
    """Any file name and message make a valid SARIF report."""
    jsonschema.validate(json.loads(FORMATS["sarif"]([Finding(file, Position(3, 4), rule, message)])), SARIF)
