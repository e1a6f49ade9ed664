"""``toYaml`` and ``fromYaml`` in templates, compared with PyYAML, ruamel.yaml and Go."""

from __future__ import annotations

import json
from typing import Any

import pytest
import ruamel.yaml
import yaml
from format_samples import TEXT
from hypothesis import example, given, settings
from hypothesis import strategies as st
from template_samples import error_of

from keeper_injector_common.records import templates

YAML = {
    "text": ("{{ .v | toYaml }}", "plain", "plain"),
    "number as text": ("{{ .v | toYaml }}", "123", '"123"'),
    "boolean of old": ("{{ .v | toYaml }}", "y", '"y"'),
    "special": ("{{ .v | toYaml }}", "a: b", '"a: b"'),
    "lines": ("{{ .v | toYaml }}", "a\nb\n", '"a\\nb\\n"'),
    "lines in an object": ("{{ .v | toYaml }}", {"a": "b\nc\n"}, "a: |\n  b\n  c"),
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


YAML_1_2 = ruamel.yaml.YAML(typ="safe", pure=True)
YAML_1_2.version = (1, 2)
NUMBERS = st.text(st.sampled_from("0123456789_.eExXoObBaFn+-:~"), min_size=1, max_size=8)
"""Texts of which many are numbers, dates or times to some parser."""
AMBIGUOUS = [
    "1e3",
    "08",
    "0o17",
    "017",
    ".5e1",
    "+.5",
    "1e400",
    "12:30:45",
    "0b1",
    "1_0",
    "y",
    "No",
    "~",
    "<<",
    "=",
    ".nan",
]


@settings(deadline=None)
@given(
    st.recursive(
        NUMBERS | TEXT | st.integers() | st.booleans() | st.none(),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text("abyN1 :\n", max_size=5), inner, max_size=3)
        ),
    )
)
@example("\x85")
@example("a\n\u2028b")
@example(AMBIGUOUS)
@example(dict.fromkeys(AMBIGUOUS, ""))
def test_values_are_read_back(value: Any) -> None:
    """A value that toYaml or toRawJson wrote is read back unchanged by parsers of YAML 1.1 and 1.2, and of JSON."""
    written = templates.render_template("{{ .v | toYaml }}\n", {"v": value})
    assert yaml.safe_load(written) == value
    assert json.dumps(YAML_1_2.load(written)) == json.dumps(yaml.safe_load(written))
    assert json.loads(templates.render_template("{{ .v | toRawJson }}", {"v": value})) == value


@pytest.mark.parametrize("text", AMBIGUOUS)
def test_text_that_some_parser_takes_for_something_else_is_quoted(text: str) -> None:
    """PyYAML and ruamel read 1e3 as text, but Go, Java and JavaScript do not: quotes decide for all of them."""
    assert templates.render_template("{{ .v | toYaml }}", {"v": text}) == f'"{text}"'


@settings(deadline=None)
@given(TEXT | NUMBERS | st.text("ab: #-\n'\"", max_size=8))
@example("a\nadmin: true\n")
def test_text_stays_one_value_at_any_indentation(text: str) -> None:
    """The lines of a text never become keys of the file, however deep the template writes it."""
    written = templates.render_template("a:\n    b:\n        c: {{ .v | toYaml }}\n        d: 1\n", {"v": text})
    assert yaml.safe_load(written) == YAML_1_2.load(written) == {"a": {"b": {"c": text, "d": 1}}}


READ_BY_GO = {
    "12:30:45": "12:30:45", "-1:2": "-1:2", "2024-01-01": "2024-01-01", "<<": "<<", "=": "=", "0o8": "0o8", "0x": "0x",
    "1e400": "1e400", "_1": "_1", "1e3": 1000.0, "12e03": 12000.0, "1.5e+3": 1500.0, ".5e1": 5.0, "+.5": 0.5, "1.": 1.0,
    "08": 8.0, "0o17": 15, "017": 15, "0b1": 1, "0x1F": 31, "+0x1f": 31, "1_000": 1000, "1_000.5": 1000.5, "-0": 0, "+1": 1,
    "yes": True, "NO": False, "On": True, "~": None, "null": None,
}  # fmt: skip
"""Scalars and what sigs.k8s.io/yaml 1.6, which Helm uses, makes of them."""


@pytest.mark.parametrize(("text", "value"), READ_BY_GO.items())
def test_scalars_are_read_as_in_helm(text: str, value: Any) -> None:
    """A template gets the same text, number or boolean from fromYaml as in Helm."""
    read = json.loads(templates.render_template("{{ fromYaml .v | toJson }}", {"v": f"a: {text}"}))["a"]
    assert (read, isinstance(read, str), isinstance(read, bool)) == (
        value,
        isinstance(value, str),
        isinstance(value, bool),
    )


def test_keys_are_read_as_they_are_written() -> None:
    """A key such as on or 1.0 keeps its spelling, and two keys never become one."""
    source = "{{ range $k, $v := fromYaml .v }}{{ $k }}={{ $v }} {{ end }}"
    written = templates.render_template(source, {"v": "{on: a, yes: b, 1: c, 1.0: d, ~: e, 0x1: f, <<: {z: g}}"})
    assert sorted(written.split()) == ["0x1=f", "1.0=d", "1=c", "on=a", "yes=b", "z=g", "~=e"]


@pytest.mark.parametrize(
    ("document", "found"),
    [
        ("{a: 1, a: 2}", "the YAML contains a key twice; keep one"),
        ('{1: a, "1": b}', "the YAML contains a key twice; keep one"),
        ("{[a]: 1}", "the YAML contains a key that is not text; write a name"),
        ("a: &x 1\nb: *x", "the YAML contains an alias, which can expand without bound; write it out"),
        ("a: [", "the argument is not YAML; check the value"),
    ],
)
def test_a_document_that_loses_values_is_rejected(document: str, found: str) -> None:
    """One of two equal keys would silently win."""
    message = "template, rendering line 1, function fromYaml: "
    assert error_of("{{ fromYaml .v | toJson }}", {"v": document}) == message + found
