"""Findings of ``lint`` and ``preview`` → text, JSON, GitHub workflow commands or SARIF 2.1.0."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

import keeper_injector_common
from keeper_injector_common.cli.checks import RULES, WARNINGS, Finding
from keeper_injector_common.cli.console import colored, json_text, visible
from keeper_injector_common.json_values import Json

_SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def _text(findings: Sequence[Finding]) -> str:
    """Return one line for each finding, in a form that editors can jump to.

    ``FILE:LINE:COLUMN: error: KIND/NAME: ANNOTATION: MESSAGE``
    """
    return "".join(f"{_position(item)} {_level(item)} {visible(item.text)}\n" for item in findings)


def _json_report(findings: Sequence[Finding]) -> str:
    """Return all findings as one JSON document."""
    content = {"version": 1, "findings": [_json(item) for item in findings]}
    return json_text(content)


def _github_commands(findings: Sequence[Finding]) -> str:
    """Return workflow commands, which GitHub shows at the lines of a pull request.

    See https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands.
    """
    return "".join(_command(item) for item in findings)


def _sarif_log(findings: Sequence[Finding]) -> str:
    """Return a SARIF 2.1.0 log (OASIS standard) for code scanning."""
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
    return json_text({"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [run]})


FORMATS = {"text": _text, "json": _json_report, "github": _github_commands, "sarif": _sarif_log}
"""For each output format, the function that makes a report of the findings."""


def _position(item: Finding) -> str:
    return colored(f"{visible(item.file)}:{item.position.line}:{item.position.column}:", "bold")


def _level(item: Finding) -> str:
    return colored("warning:", "yellow") if item.is_warning else colored("error:", "red")


def _json(item: Finding) -> Json:
    return {
        "file": item.file,
        "line": item.position.line,
        "column": item.position.column,
        "level": "warning" if item.is_warning else "error",
        "rule": item.rule,
        "workload": item.workload,
        "annotation": item.annotation,
        "message": item.message,
        "fix": item.right,
    }


def _command(item: Finding) -> str:
    kind = "warning" if item.is_warning else "error"
    properties = f"file={_property(item.file)},line={item.position.line},col={item.position.column}"
    return f"::{kind} {properties},title={_property('keeper-injector ' + item.rule)}::{_data(item.text)}\n"


def _data(text: str) -> str:
    escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return visible(escaped)


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _result(item: Finding) -> Json:
    where = {
        "artifactLocation": {"uri": "stdin" if item.file == "-" else quote(item.file)},
        "region": {"startLine": item.position.line, "startColumn": item.position.column},
    }
    return {
        "ruleId": item.rule,
        "ruleIndex": list(RULES).index(item.rule),
        "level": "warning" if item.is_warning else "error",
        "message": {"text": item.text},
        "locations": [{"physicalLocation": where}],
    }
