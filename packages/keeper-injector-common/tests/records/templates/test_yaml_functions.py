"""``toYaml`` and ``fromYaml`` in templates."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from keeper_injector_common.records import templates

YAML = {
    "text": ("{{ .v | toYaml }}", "plain", "plain"),
    "number as text": ("{{ .v | toYaml }}", "123", '"123"'),
    "boolean of old": ("{{ .v | toYaml }}", "y", '"y"'),
    "special": ("{{ .v | toYaml }}", "a: b", "'a: b'"),
    "lines": ("{{ .v | toYaml }}", "a\nb\n", "|\n  a\n  b"),
    "sorted": ("{{ .v | toYaml }}", {"b": 1, "a": [None, True]}, "a:\n- null\n- true\nb: 1"),
    "nil": ('{{ dict "a" nil "b" list | toYaml }}', "", "a: null\nb: []"),
    "read": ("{{ (fromYaml .v).a.b }}", "a: {b: c}", "c"),
    "timestamps stay text": ("{{ (fromYaml .v).a }}", "a: 2024-01-01", "2024-01-01"),
    "read and missing": ("{{ (fromYaml .v).x | default 1 }}", "a: 1", "1"),
}


@pytest.mark.parametrize(("source", "value", "text"), YAML.values(), ids=YAML.keys())
def test_yaml_is_that_of_go(source: str, value: Any, text: str) -> None:
    """YAML is written as Go's library does and parsed as plain data."""
    assert templates.render_template(source, {"v": value}) == text


@settings(deadline=None)
@given(
    st.recursive(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.integers() | st.booleans() | st.none(),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text("abyN1 :\n", max_size=5), inner, max_size=3)
        ),
    )
)
@example("\x85")
@example("a\n\u2028b")
def test_values_are_read_back(value: Any) -> None:
    """A value that toYaml or toRawJson wrote is read back unchanged."""
    assert yaml.safe_load(templates.render_template("{{ .v | toYaml }}\n", {"v": value})) == value
    assert json.loads(templates.render_template("{{ .v | toRawJson }}", {"v": value})) == value
