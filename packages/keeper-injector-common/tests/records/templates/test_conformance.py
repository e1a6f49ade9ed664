"""Templates compared with Go 1.26 and Sprig 3.3: the same text, or an error in the same phase and line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from keeper_injector_common.errors import TemplateError
from keeper_injector_common.records import templates

GOLDEN: dict[str, Any] = json.loads(Path(__file__).parents[2].joinpath("data", "templates", "cases.json").read_text())
CASES: dict[str, dict[str, Any]] = {case["id"]: case for case in GOLDEN["cases"]}
PHASES = {"parsing": "parse_error", "rendering": "exec_error"}

NO_VALUE = "Go writes <no value>, which is an error here"
BINARY = "binary values are an error here"
PRINTF = "%s and %q of lists are an error here, because the engine does not support them"
OPTION = "Go's option for missing keys does not exist here; a missing key is an error unless the template handles it"
QUOTED = "text is in double quotes on one line, which every parser reads alike at any indentation"
DELIMITERS = "other delimiters do not exist here"
KNOWN_DIFFERENCES = {
    "fields-12": NO_VALUE,
    "fields-13": NO_VALUE,
    "fields-14": NO_VALUE,
    "define-05": NO_VALUE,
    "builtins-05": NO_VALUE,
    "builtins-25": NO_VALUE,
    "sprig_json-10": NO_VALUE,
    "collections-27": NO_VALUE,
    "errors_exec-15": NO_VALUE,
    "errors_exec-18": NO_VALUE,
    "errors_parse-05": NO_VALUE,
    "missingkey_error-05": NO_VALUE,
    "missingkey_error-09": NO_VALUE,
    "missingkey_zero-01": NO_VALUE,
    "sprig_strings-08": BINARY,
    "sprig_encode-18": BINARY,
    "sprig_encode-20": "htpasswd is excluded, because it is not repeatable",
    "printf-34": PRINTF,
    "printf-35": PRINTF,
    "yaml-04": QUOTED,
    "yaml-06": QUOTED,
    "missingkey_error-03": OPTION,
    "delims-01": DELIMITERS,
    "delims-02": DELIMITERS,
}


def outcome(case: dict[str, Any]) -> dict[str, Any]:
    """Render a case and return the outcome in the form of the golden file."""
    try:
        return {
            "outcome": "ok",
            "output": templates.render_template(case["template"], GOLDEN["fixtures"][case["data_ref"]]),
        }
    except TemplateError as error:
        match = re.match(r"template, (parsing|rendering) line (\d+)", str(error))
        assert match is not None
        return {"outcome": PHASES[match[1]], "line": int(match[2])}


def outcome_in_go(case: dict[str, Any]) -> dict[str, Any]:
    """Return the outcome in Go: the text, if it is known, or phase and line."""
    want = case["want"]
    if "error" not in want:
        return {key: want[key] for key in ("outcome", "output") if key in want}
    line = re.match(r"template: secret:(\d+)", want["error"])
    assert line is not None
    return {"outcome": want["outcome"], "line": int(line[1])}


@pytest.mark.parametrize("name", [name for name in CASES if name not in KNOWN_DIFFERENCES])
def test_outcome_is_that_of_go(name: str) -> None:
    """A template gives the same text or the same error as in Go."""
    want = outcome_in_go(CASES[name])
    assert outcome(CASES[name]).items() >= want.items()


@pytest.mark.parametrize("name", KNOWN_DIFFERENCES)
def test_known_difference(name: str) -> None:
    """A known difference still exists; remove it from the list when it is fixed."""
    assert not outcome(CASES[name]).items() >= outcome_in_go(CASES[name]).items()


@pytest.mark.parametrize("name", [name for name, why in KNOWN_DIFFERENCES.items() if why in {NO_VALUE, BINARY, PRINTF}])
def test_difference_is_an_error_and_not_another_text(name: str) -> None:
    """Where the behaviour differs from Go, the result is an error and never a different text."""
    assert outcome(CASES[name])["outcome"] == "exec_error"


def test_golden_file_is_complete() -> None:
    """The golden file has all its cases, and every known difference belongs to one of them."""
    assert len(CASES) == 348
    assert KNOWN_DIFFERENCES.keys() <= CASES.keys()
