"""What tests of templates share: a record, templates that handle missing fields, and hostile templates."""

from __future__ import annotations

from typing import Any

import pytest

from keeper_injector_common.errors import TemplateError
from keeper_injector_common.records import templates

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


def error_of(source: str, data: dict[str, Any] | None = None) -> str:
    """Return the error of a template, after checking that it contains no secret."""
    with pytest.raises(TemplateError) as caught:
        templates.render_template(source, RECORD if data is None else data)
    assert SECRET not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)


HANDLED = {
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
