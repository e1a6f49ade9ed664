"""``keeper-injector schema``: the JSON Schemas agree with the parsers."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
import yaml
from command_line import run
from hypothesis import given
from hypothesis import strategies as st
from sample_inputs import PLAN

from keeper_injector_common.annotations.config import parse_config
from keeper_injector_common.cli.schema import SCHEMAS
from keeper_injector_common.errors import PlanError, Problem
from keeper_injector_common.plan.wire import from_json


@pytest.mark.parametrize("name", ["config", "plan"])
def test_schemas_are_valid(name: str) -> None:
    """Each schema is valid JSON Schema, draft 2020-12."""
    jsonschema.Draft202012Validator.check_schema(json.loads(run("schema", name).output))


TEXT = st.sampled_from(["db", "/app/x", "a[b]", ""])
WRONG = st.sampled_from([[], {}, [[1]], {"a": {"b": 1}}])
ENTRY = st.dictionaries(
    st.sampled_from(["record", "path", "fields", "format", "containers", "injectAsEnvVars", "filds"]),
    st.one_of(TEXT, st.booleans(), st.lists(TEXT, max_size=2), WRONG),
)
DOCUMENT = st.fixed_dictionaries({}, optional={"secrets": st.lists(ENTRY, max_size=2), "secret": st.just([])})


@given(DOCUMENT)
def test_the_schema_accepts_what_the_parser_accepts(document: dict[str, Any]) -> None:
    """An editor shows no error in a valid document, and an unknown key is an error for both."""
    problems: list[Problem] = []
    parse_config("config", yaml.safe_dump(document), problems, [])
    errors = list(jsonschema.Draft202012Validator(SCHEMAS["config"]).iter_errors(document))
    if any(error.validator == "additionalProperties" for error in errors):
        assert problems
    if not problems:
        # The parser also accepts `yes` and `"true"` as booleans, and a string as a list; an editor may mark these.
        assert all(error.validator == "type" for error in errors), errors


def test_the_schema_of_plans_agrees_with_the_reader() -> None:
    """A plan that the agent reads is valid, and the agent rejects a plan that the schema rejects."""
    jsonschema.validate(PLAN, SCHEMAS["plan"])
    from_json(PLAN)
    for change in ({"version": 2}, {"refreshIntervall": 5}, {"directories": [{"path": "/a"}]}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**PLAN, **change}, SCHEMAS["plan"])
        with pytest.raises(PlanError):
            from_json({**PLAN, **change})
