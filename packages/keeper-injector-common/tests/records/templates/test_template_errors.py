"""Messages about templates: phase, line, function and what to do, without values."""

from __future__ import annotations

import pytest
from template_samples import error_of

FAULTS = {
    "unclosed": ("a\n{{ .login", "parsing line 2: an action, parenthesis or block is not closed"),
    "type": ("{{ upper .active }}", "rendering line 1, function upper: an argument has the wrong type"),
    "arguments": ("{{ upper }}", "rendering line 1, function upper: the number of arguments is wrong"),
    "not an object": (
        "\n\n{{ .password.x }}",
        "rendering line 3: the value before .x is not an object; shorten the path",
    ),
    "python's method": ("{{ .password.upper }}", "rendering line 1: the value before .upper is not an object"),
    "python's internals": (
        "{{ .password.__class__ }}",
        "rendering line 1: the value before .__class__ is not an object",
    ),
    "range": ("{{ range .password }}{{ end }}", "rendering line 1: range accepts a list, an object or a number"),
    "required": ('{{ required "give nick" .nick }}', "rendering line 1, function required: give nick"),
    "required value": ("{{ required .password .nick }}", "function required: a required value is missing"),
    "nil in json": ('{{ $d := set . "a" nil }}{{ $d.a }}', "rendering line 1: the value is null"),
    "no json of infinity": ("{{ mulf 1e308 10 | toJson }}", "function toJson|function mulf"),
    "fail": ('{{ fail "no luck" }}', "rendering line 1, function fail: no luck"),
    "fail with a value": ("{{ fail .password }}", "rendering line 1, function fail: the template stops itself"),
    "fail with a text of values": ('{{ fail (printf "no %s" .password) }}', "function fail: the template stops itself"),
    "not base64": ("{{ .password | b64dec | base64dec }}", "function b64dec|function base64dec"),
    "not JSON": ("{{ mustFromJson .password }}", "function mustFromJson: it fails with these arguments"),
    "not YAML": ('{{ fromYaml (printf "[%s" .password) }}', "function fromYaml: the argument is not YAML"),
    "not a number": ("{{ .password | atoi | div 1 }}", "function div: it fails with these arguments"),
    "no such template": ('{{ template "t" }}', "rendering line 1: there is no template of this name"),
    "comparison": ("{{ lt .password 1 }}", "function lt: it fails with these arguments"),
    "printf of a list": ('{{ printf "%s" .url }}', "function printf: it can write a list or an object with %v only"),
    "call": ("{{ call .password }}", "rendering line 1, function call: it is not available"),
    "lone surrogate": ("{{ .login }}\ud800", "parsing: it contains a lone surrogate"),
}


@pytest.mark.parametrize(("source", "message"), FAULTS.values(), ids=FAULTS.keys())
def test_error_has_phase_line_function_and_advice(source: str, message: str) -> None:
    """A message has the phase, the line, the function and what to do, and contains no value."""
    message = error_of(source)
    assert message.startswith("template, ")
    assert any(part in message for part in message.split("|"))
