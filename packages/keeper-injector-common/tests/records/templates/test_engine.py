"""Checking and rendering templates: the result, and what the process does for it."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from template_samples import HANDLED, HOSTILE, RECORD, SECRET, error_of

from keeper_injector_common.errors import TemplateError
from keeper_injector_common.parsers import InvalidValue
from keeper_injector_common.records import templates
from keeper_injector_common.records.templates import functions


def test_configuration_file() -> None:
    """A template writes a configuration file from a record, in the language that users of Helm know."""
    source = """\
url: postgres://{{ .login }}:{{ .password | urlquery }}@{{ .host.hostName }}:{{ .host.port | default "5432" }}/app
{{- range $number, $url := .url }}
url{{ $number }}: {{ $url | quote }}
{{- end }}
city: {{ .address.city | upper }}
{{- with .nickname }}
nick: {{ . }}
{{- end }}
ca: |
{{ index .files "ca.pem" | indent 2 -}}
"""
    assert (
        templates.render_template(source, RECORD)
        == f"""\
url: postgres://admin:{SECRET}@db:5432/app
url0: "https://a.example"
url1: "https://b.example"
city: BERN
ca: |
  -----BEGIN CERTIFICATE-----
  MIIB
  -----END CERTIFICATE-----
  """
    )


def test_several_records() -> None:
    """A template of several records has each one under its title."""
    source = '{{ (index . "Prod DB").login }} {{ .cache.password }}'
    assert templates.render_template(source, {"Prod DB": RECORD, "cache": {"password": "p"}}) == "admin p"


def test_result_is_the_same_every_time() -> None:
    """Rendering twice gives the same text, and the record is not modified, although ``set`` modifies objects."""
    source = '{{ $_ := set . "login" "changed" }}{{ $_ := unset .address "city" }}{{ .login }} {{ . | toJson }}'
    before = copy.deepcopy(RECORD)
    assert templates.render_template(source, RECORD) == templates.render_template(source, RECORD)
    assert before == RECORD


def test_checking_renders_nothing() -> None:
    """Checking is part of admission, so a template that would fail or run long is accepted at once."""
    templates.check_template(
        '{{ fail "no" }}{{ range until 100000 }}{{ range until 100000 }}{{ end }}{{ end }}{{ .nick.x.y }}'
    )
    templates.check_template("no actions at all")
    templates.check_template("")


@settings(deadline=None)
@given(st.text(st.sampled_from('{}.-"`|()$ \n:=abifelsndrgwt/*0'), max_size=40))
def test_any_source_is_a_template_or_an_error(source: str) -> None:
    """Any text is accepted or is an error of parsing."""
    try:
        templates.check_template(source)
    except TemplateError as error:
        message = str(error)
    else:
        return
    assert message.startswith("template, parsing")


def test_deeply_nested_data_is_an_error() -> None:
    """Data that is nested too deeply is an error and does not crash the process."""
    deep: Any = SECRET
    for _ in range(100_000):
        deep = [deep]
    assert error_of("{{ .deep }}", {"deep": deep}) == (
        "template, rendering: values are nested too deeply; deliver them by themselves"
    )


CLOSED = """
import json, resource, sys
from keeper_injector_common.errors import TemplateError
from keeper_injector_common.records import templates
sources, data = json.load(sys.stdin)
templates.load_engine()
loaded = {*sys.modules}
resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
for source in sources:
    try:
        templates.render_template(source, data)
    except TemplateError:
        pass
print({*sys.modules} - loaded)
"""


def test_rendering_opens_no_file() -> None:
    """Every function works in a process that cannot open files or sockets any more, without a late import."""
    arguments = [
        "",
        ".login",
        ".password .login",
        "1 .login",
        ".url",
        ".address",
        "1 2",
        ". . .",
        '"http://é.example:1/"',
    ]
    sources = [f"{{{{ {name} {argument} }}}}" for name in functions.allowed_functions() for argument in arguments]
    text = json.dumps([[*sources, *HOSTILE.values(), *HANDLED.values(), "{{"], RECORD])
    done = subprocess.run([sys.executable, "-c", CLOSED], input=text, capture_output=True, check=False, text=True)
    assert (done.stdout, done.stderr) == ("set()\n", "")


def test_importing_templates_does_not_load_the_engine() -> None:
    """A process that renders no template does not load the engine."""
    script = "import sys, keeper_injector_common.records.templates; print('gotpl' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True).stdout == "False\n"
    )


def test_annotation_value_is_checked_and_kept() -> None:
    """The value of a template annotation is returned unchanged; an invalid one is an InvalidValue with advice."""
    assert templates.template_source("\n  {{ .login }}\n") == "\n  {{ .login }}\n"
    with pytest.raises(InvalidValue, match=r"^template, parsing line 1: an action, .* is not closed; close it with"):
        templates.template_source("{{ .login")
    with pytest.raises(InvalidValue, match="is empty"):
        templates.template_source(" \n")


def test_half_a_character_is_an_error() -> None:
    """A lone surrogate, which JSON from Keeper may contain, is an error of the template and not of its program."""
    found = "template, rendering: a value contains a lone surrogate, which is not valid text"
    assert error_of("{{ .v }}", {"v": "a\ud800"}) == f"{found}; enter the value again in Keeper"
