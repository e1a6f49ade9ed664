"""Templates against Go 1.26 with Sprig 3.3: equal text, or an error of the same phase on the same line."""

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

NO_VALUE = "Go writes <no value>, which never reaches a file here"
BINARY = "bytes that are no text cannot pass through a template"
PRINTF = "the engine has no %s and %q of lists; an error instead of Go's text"
OPTION = "Go's option for missing keys is not offered: what is missing is an error unless the template says otherwise"
DELIMITERS = "other delimiters are not offered"
KNOWN = {
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
    "sprig_encode-20": "htpasswd gives another text each time, and is not offered",
    "printf-34": PRINTF,
    "printf-35": PRINTF,
    "missingkey_error-03": OPTION,
    "delims-01": DELIMITERS,
    "delims-02": DELIMITERS,
}


def outcome(case: dict[str, Any]) -> dict[str, Any]:
    """Render a case, and say what came of it as the golden file does."""
    try:
        return {
            "outcome": "ok",
            "output": templates.render_template(case["template"], GOLDEN["fixtures"][case["data_ref"]]),
        }
    except TemplateError as error:
        said = re.match(r"template, (parsing|rendering) line (\d+)", str(error))
        assert said is not None
        return {"outcome": PHASES[said[1]], "line": int(said[2])}


def wanted(case: dict[str, Any]) -> dict[str, Any]:
    """Say what Go made of a case: the text, if it is known, or phase and line."""
    want = case["want"]
    if "error" not in want:
        return {key: want[key] for key in ("outcome", "output") if key in want}
    line = re.match(r"template: secret:(\d+)", want["error"])
    assert line is not None
    return {"outcome": want["outcome"], "line": int(line[1])}


@pytest.mark.parametrize("name", [name for name in CASES if name not in KNOWN])
def test_as_in_go(name: str) -> None:
    """A template means what it means in Go."""
    want = wanted(CASES[name])
    assert outcome(CASES[name]).items() >= want.items()


@pytest.mark.parametrize("name", KNOWN)
def test_known_difference(name: str) -> None:
    """A difference that is known is still there, and is one; whoever removes it strikes it off the list."""
    assert not outcome(CASES[name]).items() >= wanted(CASES[name]).items()


@pytest.mark.parametrize("name", [name for name, why in KNOWN.items() if why in {NO_VALUE, BINARY, PRINTF}])
def test_difference_is_an_error_and_not_another_text(name: str) -> None:
    """Where this is not Go, it stops, rather than write something else."""
    assert outcome(CASES[name])["outcome"] == "exec_error"


def test_all_cases_are_there() -> None:
    """The golden file is whole, and no known difference is of a case that is gone."""
    assert len(CASES) == 348
    assert KNOWN.keys() <= CASES.keys()
