"""Missing fields, nulls and other values that Go treats in its own way."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from template_samples import HANDLED, RECORD, error_of

from keeper_injector_common.records import templates
from keeper_injector_common.records.templates.go_values import to_template_value, weight


@pytest.mark.parametrize("source", HANDLED.values(), ids=HANDLED.keys())
def test_template_can_handle_a_missing_field(source: str) -> None:
    """A template can decide what happens if a field is missing or null."""
    assert templates.render_template(source, RECORD) == "n"


MISSING = {
    "written": "{{ .nick }}",
    "deep": "{{ .address.zip }}",
    "below a missing one": "{{ .nick.name }}",
    "below, in if": "{{ if .nick.name }}{{ end }}",
    "root": "{{ $.nick }}",
    "variable": "{{ $n := .nick }}{{ $n }}",
    "piped": "{{ .nick | quote }}",
    "argument": "{{ quote .nick }}",
    "text of several": "{{ cat .login .nick }}",
    "printf": '{{ printf "%s" .nick }}',
    "print": "{{ print .nick }}",
    "json": "{{ .nick | toJson }}",
    "yaml": "{{ .nick | toYaml }}",
    "range": "{{ range .nick }}{{ end }}",
    "length": "{{ len .nick }}",
    "html": "{{ html .nick }}",
    "and": '{{ and .nick "x" }}',
    "in a list": "{{ list .nick | toJson }}",
    "in a dict": '{{ dict "a" .nick | toJson }}',
    "template": '{{ define "t" }}{{ .nick }}{{ end }}{{ template "t" . }}',
    "dot": '{{ define "t" }}{{ . }}{{ end }}{{ template "t" .nick }}',
    "made dict": '{{ $d := dict "a" 1 }}{{ $d.nick }}',
    "made dict, piped": '{{ $d := dict "a" (dict) }}{{ $d.a.nick | quote }}',
    "parsed": '{{ (fromJson "{\\"a\\":{}}").a.nick | quote }}',
    "in a list's object": '{{ (index (fromJson "[{}]") 0).nick | quote }}',
    "merged": "{{ (merge (dict) .address).nick | quote }}",
    "copied": "{{ (deepCopy .address).nick | quote }}",
}


@pytest.mark.parametrize("source", MISSING.values(), ids=MISSING.keys())
def test_missing_field_is_an_error(source: str) -> None:
    """A missing field is an error wherever it is used, because half a configuration file is worse than none."""
    message = error_of(source)
    assert "there is no field" in message
    assert message.startswith("template, rendering line 1")
    assert message.endswith("; write default, get, with or if where it may be absent")


@pytest.mark.parametrize(
    "source",
    ["{{ .none }}", "{{ .address.street2 }}", "{{ $x := .none }}{{ $x }}", '{{ index . "none" }}', "{{ first list }}"],
)
def test_null_is_not_written(source: str) -> None:
    """Go's ``<no value>`` never gets into a file."""
    assert error_of(source).startswith("template, rendering line 1: the value is null; write default, with or if")


def test_key_that_may_be_a_value_is_not_shown() -> None:
    """The name of a missing field is shown if the template contains it, not if it comes from the record."""
    assert "there is no field nick;" in error_of('{{ index . "nick" }}{{ index . "nick" | quote }}')
    assert "there is no such field;" in error_of("{{ index . .password | quote }}")
    assert "there is no such field;" in error_of('{{ index . (printf "%s" .password) | quote }}')


def test_replacement_character_of_the_record_is_text() -> None:
    """A replacement character in a record is text like any other."""
    assert templates.render_template('{{ .v | upper }}{{ list .v | join "," }}', {"v": "\ufffd"}) == "\ufffd\ufffd"


def test_nil_inside_a_value_is_null() -> None:
    """A nil that a template puts into an object becomes null in JSON and YAML."""
    source = '{{ $d := dict "a" nil }}{{ $_ := set $d "b" nil }}{{ $d | toJson }} {{ $d | toYaml }}'
    assert templates.render_template(source, {}) == '{"a":null,"b":null} a: null\nb: null'


NESTED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@given(NESTED)
def test_conversion_copies_and_changes_no_value(value: Any) -> None:
    """A converted value equals the original, and converting it again changes nothing."""
    converted = to_template_value(value)
    assert converted == value
    assert to_template_value(converted) == converted


@given(NESTED, NESTED)
def test_weight_grows_with_every_element(first: Any, second: Any) -> None:
    """A list weighs more than each of its elements, so that no nesting hides a large value."""
    assert weight([first, second]) > max(weight(first), weight(second))


def test_weight_stops_at_the_limit() -> None:
    """A list that contains itself many times over is weighed in little time."""
    value: list[Any] = ["x"]
    for _ in range(60):
        value = [value, value]
    assert weight(value, limit=1000) > 1000
