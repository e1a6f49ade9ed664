"""What hostile templates can cost, and that ordinary ones stay below the limits."""

from __future__ import annotations

import time

import pytest
from template_samples import HOSTILE, RECORD, error_of

from keeper_injector_common.records import templates


@pytest.mark.parametrize("source", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_template_is_stopped(source: str) -> None:
    """A template that would need gigabytes or never end is an error within seconds, without another process."""
    start = time.process_time()
    message = error_of(source)
    assert message.startswith("template, ")
    assert time.process_time() - start < 5


BINARY = {
    "base64dec": "{{ .key | base64dec }}",
    "b64dec": "{{ .key | b64dec }}",
    "b64dec in a pipe": "{{ .key | b64dec | b64enc }}",
    "half a letter": '{{ trunc 1 "é" }}',
    "half a letter, sliced": '{{ substr 0 1 "é" }}',
}


@pytest.mark.parametrize("source", BINARY.values(), ids=BINARY.keys())
def test_bytes_that_are_not_text_are_rejected(source: str) -> None:
    """Binary values cannot pass through a template, and are never silently replaced by other bytes."""
    message = error_of(source, {"key": "/v8AAA=="})
    assert message.endswith("; deliver binary values by themselves")


def test_large_attachment_costs_nothing_unless_used() -> None:
    """A large attachment does not affect a template that does not use it, and is an error in one that does."""
    data = RECORD | {"files": {"big": "x" * 3_000_000}}
    assert (
        templates.render_template(
            '{{ .login | upper }}{{ hasKey .files "big" }}{{ with get .files "no" }}{{ end }}', data
        )
        == "ADMINtrue"
    )
    assert "more than a million characters; deliver large values by themselves" in error_of("{{ .files.big }}", data)
    assert (
        templates.render_template('{{ (get . "files").none | default "n" }}{{ len (index . "files") }}', data) == "n1"
    )
    assert "function b64enc: the arguments have more than a million" in error_of("{{ .files.big | b64enc }}", data)


def test_ordinary_templates_are_below_the_limits() -> None:
    """A configuration file with a certificate of usual size is far below the limits."""
    certificate = "-----BEGIN CERTIFICATE-----\n" + "A" * 64 + "\n" + "B" * 20_000
    source = (
        '{{ regexReplaceAll "[A-Z]{5}" .pem "x" | indent 8 | b64enc | wrap 76 | replace "\\n" "\\n  " | quote | len }}'
    )
    assert int(templates.render_template(source, {"pem": certificate})) > 5_000
    assert templates.render_template('{{ printf "%-20s|%05d|%.2f in 20260101123456" "a" 7 1.5 }}', {}) == (
        "a                   |00007|1.50 in 20260101123456"
    )
