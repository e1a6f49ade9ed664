"""Findings → text for people, JSON, GitHub's workflow commands, SARIF 2.1.0; pure but for colour."""

from __future__ import annotations

import json
from collections.abc import Sequence
from urllib.parse import quote

import keeper_injector_common
from keeper_injector_common.cli.checks import RULES, WARNINGS, Finding
from keeper_injector_common.cli.console import paint
from keeper_injector_common.json_values import Json

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def text(findings: Sequence[Finding]) -> str:
    """One line each: ``file:line:column: error: Kind/name: annotation: message``, which editors can jump to."""
    return "".join(f"{_position(item)} {_level(item)} {item.text}\n" for item in findings)


def as_json(findings: Sequence[Finding]) -> str:
    """All findings as one JSON document."""
    content = {"version": 1, "findings": [_json(item) for item in findings]}
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"


def github(findings: Sequence[Finding]) -> str:
    """Workflow commands, which GitHub shows beside the lines of a pull request."""
    return "".join(_command(item) for item in findings)


def sarif(findings: Sequence[Finding]) -> str:
    """SARIF 2.1.0 (OASIS), for code scanning."""
    driver = {
        "name": "keeper-injector",
        "version": keeper_injector_common.__version__,
        "rules": [
            {
                "id": name,
                "shortDescription": {"text": description},
                "defaultConfiguration": {"level": "warning" if name in WARNINGS else "error"},
            }
            for name, description in RULES.items()
        ],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(item) for item in findings],
    }
    return json.dumps({"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}, ensure_ascii=False, indent=2) + "\n"


FORMATS = {"text": text, "json": as_json, "github": github, "sarif": sarif}


def _position(item: Finding) -> str:
    return paint(f"{item.file}:{item.place.line}:{item.place.column}:", "bold")


def _level(item: Finding) -> str:
    return paint("warning:", "yellow") if item.is_warning else paint("error:", "red")


def _json(item: Finding) -> Json:
    return {
        "file": item.file,
        "line": item.place.line,
        "column": item.place.column,
        "level": "warning" if item.is_warning else "error",
        "rule": item.rule,
        "workload": item.workload,
        "annotation": item.annotation,
        "message": item.message,
        "fix": item.fix,
    }


def _command(item: Finding) -> str:
    kind = "warning" if item.is_warning else "error"
    properties = f"file={_property(item.file)},line={item.place.line},col={item.place.column}"
    return f"::{kind} {properties},title={_property('keeper-injector ' + item.rule)}::{_data(item.text)}\n"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _result(item: Finding) -> Json:
    where = {
        "artifactLocation": {"uri": "stdin" if item.file == "-" else quote(item.file)},
        "region": {"startLine": item.place.line, "startColumn": item.place.column},
    }
    return {
        "ruleId": item.rule,
        "ruleIndex": list(RULES).index(item.rule),
        "level": "warning" if item.is_warning else "error",
        "message": {"text": item.text},
        "locations": [{"physicalLocation": where}],
    }
