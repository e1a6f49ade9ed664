"""The actions of a template that write a field without quotes are found in its syntax tree."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from template_samples import HANDLED, HOSTILE

from keeper_injector_common.errors import TemplateError
from keeper_injector_common.records import templates
from keeper_injector_common.records.templates.bare_fields import bare_fields
from keeper_injector_common.records.templates.quoting import QUOTING_FUNCTIONS

BARE = {
    "field": ("{{ .a }}", [".a"]),
    "part of a field": ("{{.a.b}}", [".a.b"]),
    "trimmed": ("{{- .a -}}", [".a"]),
    "root": ("{{ with .x }}{{ $.a }}{{ end }}", ["$.a"]),
    "index": ('{{ index . "a b" }}', ['index . "a b"']),
    "several records": ('{{ (index . "db").login }}', ['(index . "db").login']),
    "default": ('{{ .a | default "b" }}', ['.a | default "b"']),
    "default first": ('{{ default "b" .a }}', ['default "b" .a']),
    "quoted, and then another": ("{{ .a | toShell | default .b }}", [".a | toShell | default .b"]),
    "parenthesis": ("{{ (.a) }}", ["(.a)"]),
    "print": ('{{ print .a ":" .b }}', ['print .a ":" .b']),
    "printf": ('{{ printf "%s" .a }}', ['printf "%s" .a']),
    "variable": ("{{ $x := .a }}{{ $x }}", ["$x"]),
    "assigned variable": ('{{ $x := "" }}{{ if .b }}{{ $x = .a }}{{ end }}{{ $x }}', ["$x"]),
    "with": ("{{ with .a }}{{ . }}{{ end }}", ["."]),
    "with a variable": ("{{ with $x := .a }}{{ $x }}{{ end }}", ["$x"]),
    "range": ("{{ range .a }}{{ . }}{{ else }}{{ .b }}{{ end }}", [".", ".b"]),
    "range with variables": ("{{ range $k, $v := . }}{{ $k }}={{ $v }}{{ end }}", ["$k", "$v"]),
    "branches": ("{{ if .a }}{{ else if .b }}{{ .c }}{{ else }}{{ .d }}{{ end }}", [".c", ".d"]),
    "block": ('{{ block "t" .a }}{{ . }}{{ end }}', ["."]),
    "define": ('{{ define "t" }}{{ .a }}{{ end }}{{ template "t" . }}', [".a"]),
    "two on a line": ("{{ .a }}:{{ .b }}", [".a", ".b"]),
    "record data": ("{{ .title }}", [".title"]),
}
QUOTED = {
    **{name: f"{{{{ .a | {name} }}}}" for name in QUOTING_FUNCTIONS},
    "function first": "{{ toShell .a }}",
    "default in between": '{{ .a | default "b" | toYaml }}',
    "default of a quoted value": '{{ toYaml .a | default "b" }}',
    "combined": '{{ printf "%s:%s" .a .b | toJson }}',
    "variable": "{{ $x := .a | toShell }}{{ $x }}",
    "assigned variable": "{{ $x := .a }}{{ $x = toShell $x }}{{ $x }}",
    "condition": '{{ if eq .a "x" }}1{{ end }}',
    "no output": "{{ $x := .a }}",
    "encoded": "{{ .a | b64enc }}{{ .a | urlquery }}{{ .a | sha256sum }}",
    "own escapes": '{{ .a | replace ":" "x" }}',
    "Go's quotes": '{{ .a | quote }}{{ printf "%q" .a }}',
    "another text": '{{ "a" }}{{ 1 }}{{ len .a }}{{ range until 3 }}{{ . }}{{ end }}',
    "comment": "{{/* .a */}}",
    "text": "{ .a }",
    "with a quoted value": "{{ with .a | toShell }}{{ . }}{{ end }}",
    "quoted for a definition": '{{ define "t" }}{{ . }}{{ end }}{{ template "t" (.a | toShell) }}',
    "part of a file": '{{ index .files "a.pem" | indent 4 }}',
}


@pytest.mark.parametrize(("source", "found"), BARE.values(), ids=BARE.keys())
def test_a_field_without_quotes_is_found(source: str, found: list[str]) -> None:
    """An action that ends in a field, or in a function that returns it unchanged, is found with its text."""
    assert [text for _, text in bare_fields(source)] == found


@pytest.mark.parametrize("source", QUOTED.values(), ids=QUOTED.keys())
def test_a_value_that_a_function_made_is_not_reported(source: str) -> None:
    """A function that changes its argument was chosen by the author of the template."""
    assert list(bare_fields(source)) == []


def test_lines_are_those_of_the_source() -> None:
    """Lines are counted from 1, also behind characters of several bytes and in definitions."""
    source = 'é😀={{ .a }}\n{{ define "t" }}\n{{ .b }}{{ end }}\n\r\nx={{\n.c\n}}'
    assert list(bare_fields(source)) == [(1, ".a"), (3, ".b"), (6, ".c")]


def parts() -> st.SearchStrategy[str]:
    """Return pieces of templates, many of them valid."""
    values = st.sampled_from([".a", ".", "$", "$x", '"b"', "1", '(index . "a")', "(.a | toShell)", "(.a)"])
    functions = st.sampled_from(["toShell", "default .b", "upper", "print .c", "toJson", "trim", "b64enc"])
    pipelines = st.lists(functions, max_size=3).flatmap(lambda f: values.map(lambda v: " | ".join([v, *f])))
    actions = pipelines.map(lambda p: f"{{{{ {p} }}}}") | pipelines.map(lambda p: f"{{{{ $x := {p} }}}}")
    return st.recursive(
        actions | st.sampled_from(["text\n", "é", "{{/* c */}}"]),
        lambda inner: st.tuples(st.sampled_from(["if", "with", "range"]), pipelines, st.lists(inner, max_size=3)).map(
            lambda t: f"{{{{ {t[0]} {t[1]} }}}}{''.join(t[2])}{{{{ end }}}}"
        ),
        max_leaves=8,
    )


@settings(deadline=None)
@given(st.lists(parts(), max_size=5).map("".join))
def test_any_valid_template_is_analysed(source: str) -> None:
    """Every template that can be parsed can be analysed, and what is found is in the source at the line."""
    try:
        templates.check_template(source)
    except TemplateError:
        return
    lines = source.split("\n")
    assert all(text in lines[line - 1] for line, text in bare_fields(source))


@pytest.mark.parametrize("source", [*HANDLED.values(), *HOSTILE.values()])
def test_templates_of_other_tests_are_analysed(source: str) -> None:
    """A hostile template is rejected before, or analysed within the limits of the parser."""
    try:
        templates.check_template(source)
    except TemplateError:
        return
    list(bare_fields(source))
