"""Templates of this project: missing fields, functions, errors, and what hostile ones may cost."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from keeper_injector_common.errors import TemplateError
from keeper_injector_common.records import templates
from keeper_injector_common.records.templates import functions

SECRET = "s3ntinel-9f2c"
RECORD: dict[str, Any] = {
    "title": "Prod DB",
    "uid": "AAAAAAAAAAAAAAAAAAAAAA",
    "notes": "",
    "login": "admin",
    "password": SECRET,
    "address": {"city": "Bern", "street2": None},
    "url": ["https://a.example", "https://b.example"],
    "host": {"hostName": "db", "port": "5432"},
    "none": None,
    "active": True,
    "files": {"ca.pem": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"},
}


def refused(source: str, data: dict[str, Any] | None = None) -> str:
    """Return how a template is refused; the sentence holds no secret."""
    with pytest.raises(TemplateError) as caught:
        templates.render_template(source, RECORD if data is None else data)
    assert SECRET not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)


def test_configuration_file() -> None:
    """A template makes a configuration file of a record, as Helm's users write it."""
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


def test_the_functions_that_the_page_names() -> None:
    """What it promises is there, and what it says is left out is not."""
    page = (Path(__file__).parents[3] / "docs/configuration.md").read_text(encoding="utf-8")
    there, _, without = page.partition("own functions and")[2].partition("without those of")
    promised, missing = re.findall(r"`(\w+)`", there), re.findall(r"`(\w+)`", without.partition(")")[0])
    assert (len(promised), len(missing)) == (5, 5)
    assert functions.allowed_functions().keys() >= set(promised)
    assert not functions.allowed_functions().keys() & set(missing)


def test_several_records() -> None:
    """A template over several records has each under its title."""
    source = '{{ (index . "Prod DB").login }} {{ .cache.password }}'
    assert templates.render_template(source, {"Prod DB": RECORD, "cache": {"password": "p"}}) == "admin p"


FORGIVEN = {
    "default": '{{ .nick | default "n" }}',
    "default first": '{{ default "n" .nick }}',
    "deep default": '{{ .address.zip | default "n" }}',
    "get": '{{ get . "nick" }}n',
    "with": "{{ with .nick }}x{{ else }}n{{ end }}",
    "if": "{{ if .nick }}x{{ else }}n{{ end }}",
    "if not": "{{ if not .nick }}n{{ end }}",
    "if eq": '{{ if eq .nick "x" }}x{{ else }}n{{ end }}',
    "if ne": '{{ if ne .nick "x" }}n{{ end }}',
    "if and": "{{ if and .login .nick }}x{{ else }}n{{ end }}",
    "or": '{{ or .nick "n" }}',
    "coalesce": '{{ coalesce .nick .notes .none "n" }}',
    "empty": "{{ if empty .nick }}n{{ end }}",
    "dig": '{{ dig "address" "zip" "n" . }}',
    "hasKey": '{{ if hasKey . "nick" }}x{{ else }}n{{ end }}',
    "with index": '{{ with index .files "no.pem" }}x{{ else }}n{{ end }}',
    "null default": '{{ .none | default "n" }}',
    "null in an object": '{{ .address.street2 | default "n" }}',
}


@pytest.mark.parametrize("source", FORGIVEN.values(), ids=FORGIVEN.keys())
def test_missing_field_that_the_template_expects(source: str) -> None:
    """A template may say what happens when a field is missing or null."""
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
def test_missing_field(source: str) -> None:
    """Half a configuration file is worse than none: a missing field is an error wherever it is used."""
    said = refused(source)
    assert "there is no field" in said
    assert said.startswith("template, rendering line 1")
    assert said.endswith("; write default, get, with or if where it may be absent")


@pytest.mark.parametrize(
    "source",
    ["{{ .none }}", "{{ .address.street2 }}", "{{ $x := .none }}{{ $x }}", '{{ index . "none" }}', "{{ first list }}"],
)
def test_null_is_not_written(source: str) -> None:
    """Go's <no value> never reaches a file."""
    assert refused(source).startswith("template, rendering line 1: the value is null; write default, with or if")


def test_key_that_is_a_value_stays_unsaid() -> None:
    """The name of a missing field is told when it stands in the template, not when it comes from the record."""
    assert "there is no field nick;" in refused('{{ index . "nick" }}{{ index . "nick" | quote }}')
    assert "there is no such field;" in refused("{{ index . .password | quote }}")
    assert "there is no such field;" in refused('{{ index . (printf "%s" .password) | quote }}')


def test_same_text_every_time() -> None:
    """What is rendered twice is the same twice, and what the record holds stays as it is, though `set` changes maps."""
    source = '{{ $_ := set . "login" "changed" }}{{ $_ := unset .address "city" }}{{ .login }} {{ . | toJson }}'
    before = copy.deepcopy(RECORD)
    assert templates.render_template(source, RECORD) == templates.render_template(source, RECORD)
    assert before == RECORD


@pytest.mark.parametrize("name", sorted(functions.MACHINE | functions.CHANGING))
def test_function_that_is_left_out(name: str) -> None:
    """A function that reads the machine or changes its mind is refused while parsing, with the reason."""
    with pytest.raises(
        TemplateError, match=rf"^template, parsing line 2: function {name} (reads the machine|would not)"
    ):
        templates.check_template(f"\n{{{{ {name} }}}}")


NEVER_WAS = "is in the documentation of Keeper's Go injector, but never was in it"
UNSUPPORTED = {
    "md5sum": f"{NEVER_WAS}; use sha256sum",
    "htmlEscape": f"{NEVER_WAS}; use html",
    "include": "is Helm's; there is one template here, use define and template",
    "defualt": "is unknown; did you mean default",
    "login": "is unknown; did you mean",
    "zzzzzz": "is unknown; a field is written .zzzzzz",
}


@pytest.mark.parametrize(("name", "said"), UNSUPPORTED.items())
def test_function_that_never_was(name: str, said: str) -> None:
    """A function that others have or document is refused with what to use."""
    with pytest.raises(TemplateError) as caught:
        templates.check_template(f"{{{{ .password | {name} }}}}")
    assert str(caught.value).startswith(f"template, parsing line 1: function {name} {said}")


DOCUMENTED = """\
base64enc base64dec b64enc b64dec sha256sum sha512sum sha1sum upper lower title trim trimPrefix trimSuffix replace split join
contains hasPrefix hasSuffix default empty coalesce ternary eq ne lt le gt ge list first last reverse uniq compact toJson
toPrettyJson toYaml fromJson urlquery quote squote required fromYaml indent nindent printf index len regexReplaceAll dict
"""


def test_functions_that_are_documented_elsewhere() -> None:
    """What Keeper's Go injector documents, and Sprig has, is there."""
    assert set(DOCUMENTED.split()) <= functions.allowed_functions().keys()


def test_parse_executes_nothing() -> None:
    """Parsing is for admission: a template that would fail or never end parses at once."""
    templates.check_template(
        '{{ fail "no" }}{{ range until 100000 }}{{ range until 100000 }}{{ end }}{{ end }}{{ .nick.x.y }}'
    )
    templates.check_template("no actions at all")
    templates.check_template("")


FAULTS = {
    "unclosed": ("a\n{{ .login", "parsing line 2: something is not closed"),
    "type": ("{{ upper .active }}", "rendering line 1, function upper: a value is not of the type it takes"),
    "arguments": ("{{ upper }}", "rendering line 1, function upper: it has a wrong number of arguments"),
    "no object": ("\n\n{{ .password.x }}", "rendering line 3: the value before .x is no object; shorten the path"),
    "python's method": ("{{ .password.upper }}", "rendering line 1: the value before .upper is no object"),
    "python's internals": ("{{ .password.__class__ }}", "rendering line 1: the value before .__class__ is no object"),
    "range": ("{{ range .password }}{{ end }}", "rendering line 1: range takes a list, an object or a number"),
    "required": ('{{ required "give nick" .nick }}', "rendering line 1, function required: give nick"),
    "required value": ("{{ required .password .nick }}", "function required: a value is required and is not there"),
    "nil in json": ('{{ $d := set . "a" nil }}{{ $d.a }}', "rendering line 1: the value is null"),
    "no json of infinity": ("{{ mulf 1e308 10 | toJson }}", "function toJson|function mulf"),
    "fail": ('{{ fail "no luck" }}', "rendering line 1, function fail: no luck"),
    "fail with a value": ("{{ fail .password }}", "rendering line 1, function fail: it stops the template"),
    "fail with a text of values": ('{{ fail (printf "no %s" .password) }}', "function fail: it stops the template"),
    "no base64": ("{{ .password | b64dec | base64dec }}", "function b64dec|function base64dec"),
    "no json": ("{{ mustFromJson .password }}", "function mustFromJson: it cannot work with what it is given"),
    "no yaml": ('{{ fromYaml (printf "[%s" .password) }}', "function fromYaml: it is given something that is no YAML"),
    "no number": ("{{ .password | atoi | div 1 }}", "function div: it cannot work with what it is given"),
    "no such template": ('{{ template "t" }}', "rendering line 1: the template of this name is not defined"),
    "comparison": ("{{ lt .password 1 }}", "function lt: it cannot work with what it is given"),
    "printf of a list": ('{{ printf "%s" .url }}', "function printf: it can write a list or an object with %v only"),
    "call": ("{{ call .password }}", "rendering line 1, function call: it is not offered here"),
    "half a surrogate": ("{{ .login }}\ud800", "parsing: it holds half a surrogate pair"),
}


@pytest.mark.parametrize(("source", "said"), FAULTS.values(), ids=FAULTS.keys())
def test_fault_is_told_in_our_words(source: str, said: str) -> None:
    """An error says phase, line, function and the way out; values stay inside."""
    message = refused(source)
    assert message.startswith("template, ")
    assert any(part in message for part in said.split("|"))


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(functions.allowed_functions())),
    st.lists(
        st.sampled_from([".password", ".url", ".address", ".none", "1", '"a"', "nil", ".", "true", "-1", "1.5"]),
        max_size=4,
    ),
)
def test_no_function_tells_a_value(name: str, arguments: list[str]) -> None:
    """Whatever a function is given, it gives text or an error of ours, and no error holds a value."""
    source = f"{{{{ {name} {' '.join(arguments)} }}}}"
    try:
        written = templates.render_template(source, RECORD)
    except TemplateError as error:
        said = str(error)
    else:
        assert "<no value>" not in written
        return
    assert said.startswith("template, ")
    assert "sentinel" not in said


@settings(deadline=None)
@given(st.text(st.sampled_from('{}.-"`|()$ \n:=abifelsndrgwt/*0'), max_size=40))
def test_any_source_is_a_template_or_an_error(source: str) -> None:
    """No text breaks the parser."""
    try:
        templates.check_template(source)
    except TemplateError as error:
        said = str(error)
    else:
        return
    assert said.startswith("template, parsing")


def test_broken_character_of_the_record() -> None:
    """A replacement character that Keeper holds is text like any other."""
    assert templates.render_template('{{ .v | upper }}{{ list .v | join "," }}', {"v": "\ufffd"}) == "\ufffd\ufffd"


def test_nil_inside_of_values() -> None:
    """A nil that a template puts into an object is null, in JSON and YAML."""
    source = '{{ $d := dict "a" nil }}{{ $_ := set $d "b" nil }}{{ $d | toJson }} {{ $d | toYaml }}'
    assert templates.render_template(source, {}) == '{"a":null,"b":null} a: null\nb: null'


def test_no_match_is_an_empty_list() -> None:
    """What finds nothing gives an empty list, as in Go."""
    assert templates.render_template('{{ regexFindAll "z" .login -1 | len }}', RECORD) == "0"


BINARY = {
    "base64dec": "{{ .key | base64dec }}",
    "b64dec": "{{ .key | b64dec }}",
    "b64dec in a pipe": "{{ .key | b64dec | b64enc }}",
    "half a letter": '{{ trunc 1 "é" }}',
    "half a letter, sliced": '{{ substr 0 1 "é" }}',
}


@pytest.mark.parametrize("source", BINARY.values(), ids=BINARY.keys())
def test_bytes_are_refused(source: str) -> None:
    """What is no text cannot pass through a template, and does not turn into other bytes silently."""
    said = refused(source, {"key": "/v8AAA=="})
    assert said.endswith("; deliver binary values by themselves")


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
def test_yaml(source: str, value: Any, text: str) -> None:
    """YAML is written as Go's library does, and read as plain data."""
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
def test_json_and_yaml_of_a_template_are_read_back(value: Any) -> None:
    """A value written by toYaml or toRawJson inside a template is read back as it was."""
    assert yaml.safe_load(templates.render_template("{{ .v | toYaml }}\n", {"v": value})) == value
    assert json.loads(templates.render_template("{{ .v | toRawJson }}", {"v": value})) == value


TEXT = "x" * 1000
HOSTILE = {
    "repeat of wrong types": '{{ repeat (repeat 900000 "x") (repeat 900000 "x") }}',
    "indent of wrong types": '{{ indent (repeat 900000 "x") (repeat 900000 "\\n") }}',
    "repeat": '{{ repeat 1000000000 "x" }}',
    "repeat in a pipe": '{{ repeat 1000 "x" | repeat 1000 | repeat 1000 }}',
    "indent": '{{ indent 1000000000 "x" }}',
    "nindent": '{{ nindent 1000000000 "x\ny" }}',
    "replace": '{{ replace "" (repeat 2000 "y") (repeat 2000 "x") }}',
    "join": '{{ join (repeat 20000 "y") (until 10000) }}',
    "cat": '{{ $x := repeat 900000 "x" }}{{ cat $x $x $x $x $x $x $x $x $x $x }}',
    "print": '{{ $x := repeat 900000 "x" }}{{ print $x $x $x $x $x $x $x $x $x $x }}',
    "printf width": '{{ printf "%1000000000d" 1 }}',
    "printf precision": '{{ printf "%.1000000000f" 1.5 }}',
    "printf argument": '{{ printf "%*d" 1000000000 1 }}',
    "printf used again": '{{ $x := repeat 900000 "x" }}{{ printf "%[1]s%[1]s%[1]s%[1]s%[1]s" $x }}',
    "until": "{{ until 1000000000 | len }}",
    "untilStep": "{{ untilStep 0 1000000000 1 | len }}",
    "seq": "{{ seq 1000000000 }}",
    "seq step": "{{ seq 0 1 1000000000 }}",
    "wrapWith": '{{ wrapWith 1 (repeat 10000 "y") (repeat 10000 "x") }}',
    "list of lists": '{{ $l := list "x" }}{{ range until 60 }}{{ $l = list $l $l }}{{ end }}{{ $l | toJson }}',
    "concat": "{{ $l := until 1000 }}{{ range until 60 }}{{ $l = concat $l $l }}{{ end }}",
    "dict of dicts": '{{ $d := dict }}{{ range until 60 }}{{ $d = dict "a" $d "b" $d }}{{ end }}{{ $d | toYaml }}',
    "text doubled": '{{ $x := "x" }}{{ range until 60 }}{{ $x = print $x $x }}{{ end }}',
    "regex repeat": '{{ regexMatch "((a{100}){100}){100}" "a" }}',
    "regex long": '{{ regexMatch (repeat 2000 "a") "a" }}',
    "regex input": '{{ regexMatch "a" (repeat 200000 "a") }}',
    "regex growth": '{{ regexReplaceAll "" (repeat 9000 "a") (repeat 9000 "b") }}',
    "regex groups": '{{ regexReplaceAll "(.*)" (repeat 90000 "a") (repeat 1000 "${1}") }}',
    "yaml bomb": '{{ fromYaml "a: &a [x,x]\\nb: &b [*a,*a]\\nc: [*b,*b]" }}',
    "yaml size": '{{ fromYaml (repeat 200000 "a") }}',
    "yaml depth": '{{ fromYaml (repeat 90000 "[") }}',
    "json depth": '{{ fromJson (repeat 900000 "[") | toJson }}',
    "uniq": "{{ uniq (until 90000) | len }}",
    "loop": "{{ range until 90000 }}{{ range until 90000 }}{{ end }}{{ end }}",
    "calls": "{{ range until 90000 }}{{ $x := add 1 1 }}{{ end }}",
    "output": f"{{{{ range until 2000 }}}}{TEXT}{{{{ end }}}}",
    "recursion": '{{ define "t" }}{{ template "t" . }}{{ end }}{{ template "t" . }}',
    "branching recursion": '{{ define "t" }}{{ template "t" . }}{{ template "t" . }}{{ end }}{{ template "t" . }}',
    "object in itself": '{{ $d := dict }}{{ $_ := set $d "d" $d }}{{ $d }}',
    "object in itself, as json": '{{ $d := dict }}{{ $_ := set $d "d" $d }}{{ $d | toJson }}',
    "nested source": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "nested ifs": "{{ if 1 }}" * 5000 + "{{ end }}" * 5000,
    "long source": "x" * 100_001,
    "semver": '{{ semverCompare (repeat 90000 "1.") "1" }}',
}


@pytest.mark.parametrize("source", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_template_ends_soon_in_an_error(source: str) -> None:
    """A template that would take gigabytes or never end is an error within seconds, in this very process."""
    start = time.process_time()
    said = refused(source)
    assert said.startswith("template, ")
    assert time.process_time() - start < 5


def test_deep_data() -> None:
    """Data nested without end is an error, not the end of the process."""
    deep: Any = SECRET
    for _ in range(100_000):
        deep = [deep]
    assert refused("{{ .deep }}", {"deep": deep}) == (
        "template, rendering: values are nested too deeply; deliver them by themselves"
    )


def test_large_file_beside() -> None:
    """A large file of the record costs nothing while the template does not use it, and is refused when it does."""
    data = RECORD | {"files": {"big": "x" * 3_000_000}}
    assert (
        templates.render_template(
            '{{ .login | upper }}{{ hasKey .files "big" }}{{ with get .files "no" }}{{ end }}', data
        )
        == "ADMINtrue"
    )
    assert "more than a million characters; deliver large values by themselves" in refused("{{ .files.big }}", data)
    assert (
        templates.render_template('{{ (get . "files").none | default "n" }}{{ len (index . "files") }}', data) == "n1"
    )
    assert "function b64enc: it is given more than a million" in refused("{{ .files.big | b64enc }}", data)


def test_ordinary_sizes_fit() -> None:
    """Nothing that a configuration file does comes near the bounds."""
    certificate = "-----BEGIN CERTIFICATE-----\n" + "A" * 64 + "\n" + "B" * 20_000
    source = (
        '{{ regexReplaceAll "[A-Z]{5}" .pem "x" | indent 8 | b64enc | wrap 76 | replace "\\n" "\\n  " | quote | len }}'
    )
    assert int(templates.render_template(source, {"pem": certificate})) > 5_000
    assert templates.render_template('{{ printf "%-20s|%05d|%.2f in 20260101123456" "a" 7 1.5 }}', {}) == (
        "a                   |00007|1.50 in 20260101123456"
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
    """A process that may open neither file nor socket any more calls every function, and nothing is imported late."""
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
    sources = [f"{{{{ {name} {given} }}}}" for name in functions.allowed_functions() for given in arguments]
    given = json.dumps([[*sources, *HOSTILE.values(), *FORGIVEN.values(), "{{"], RECORD])
    done = subprocess.run([sys.executable, "-c", CLOSED], input=given, capture_output=True, check=False, text=True)
    assert (done.stdout, done.stderr) == ("set()\n", "")


def test_import_is_late() -> None:
    """Whoever renders no template does not pay for the engine."""
    script = "import sys, keeper_injector_common.records.templates; print('gotpl' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True).stdout == "False\n"
    )
