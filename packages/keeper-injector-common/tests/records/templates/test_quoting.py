"""The quoting functions of templates: a real reader of each format gets back the value that the template wrote."""

from __future__ import annotations

import configparser
import io
import json
import subprocess
import tomllib
from typing import TYPE_CHECKING, Any

import dotenv
import jproperties
import pytest
import ruamel.yaml
import yaml
from format_samples import HOSTILE, PEM, SLOW, VALUES, as_java_reads, needs_java
from hypothesis import example, given, settings
from template_samples import SECRET, error_of

from keeper_injector_common.errors import TemplateError
from keeper_injector_common.records import formats, templates
from keeper_injector_common.records.templates.functions import allowed_functions
from keeper_injector_common.records.templates.quoting import QUOTING_FUNCTIONS, quoting_function_for

if TYPE_CHECKING:
    from pathlib import Path


def written(source: str, value: Any) -> str | None:
    """Render a template with *value*; None if its format cannot represent the value."""
    try:
        return templates.render_template(source, {"v": value})
    except TemplateError:
        return None


def test_every_format_with_names_has_a_function() -> None:
    """The function has the name of the format, and a format of one value needs none."""
    assert sorted(QUOTING_FUNCTIONS) == ["toEnv", "toIni", "toJson", "toProperties", "toShell", "toToml", "toYaml"]
    assert allowed_functions().keys() >= QUOTING_FUNCTIONS.keys()


def test_special_characters_are_escaped() -> None:
    """Java would read a bare p\\a:ss#= as pa:ss#=, and a shell would end at the single quote."""
    assert written("a={{ .v | toProperties }}", r"p\a:ss#=") == r"a=p\\a:ss#="
    assert written("a={{ .v | toShell }}", "it's") == r"a='it'\''s'"


@given(VALUES.map(lambda text: text.replace("\ufeff", "")))
@example("p\\a:ss#=")
@example("  two spaces  ")
@example("\n\r\t\f\0\u2028😀")
def test_properties_are_read_back(value: str) -> None:
    """jproperties reads the value unchanged, also behind other text. It loses a byte order mark; Java does not."""
    read = jproperties.Properties()
    text = written("before=1\nv={{ .v | toProperties }}\nw = x{{ .v | toProperties }}\nafter=2\n", value)
    assert text is not None
    read.load(io.BytesIO(text.encode()), "iso-8859-1")
    assert {name: item.data for name, item in read.items()} == {
        "before": "1",
        "v": value,
        "w": f"x{value}",
        "after": "2",
    }


@needs_java
def test_java_reads_properties_back(tmp_path: Path) -> None:
    """Java's own class reads every Latin-1 character and some others unchanged, alone and in a row."""
    special = [chr(code) for code in (*range(0x100), 0x2028, 0xFEFF, 0x1F600)]
    values = [*special, "".join(special), " ", "  a ", "\\n", "a\\", "p\\a:ss#=", "\r\n\r\n", PEM]
    source = "{{ range $i, $v := .v }}v{{ $i }}={{ $v | toProperties }}\n{{ end }}"
    text = templates.render_template(source, {"v": values})
    (tmp_path / "file.properties").write_text(text, encoding="ascii")
    assert as_java_reads(tmp_path / "file.properties") == {f"v{i}": value for i, value in enumerate(values)}


@settings(SLOW, max_examples=60)
@given(VALUES)
@example("'; touch /tmp/pwned; '")
@example("$(id)`id`${HOME}!!\\'\n")
@example(PEM)
def test_shell_reads_the_value_back(value: str) -> None:
    """A shell reads the value unchanged and runs nothing; NUL is an error."""
    text = written("V={{ .v | toShell }}\nW=x{{ .v | toShell }}\n", value)
    assert (text is None) == ("\0" in value)
    if text is not None:
        script = 'set -eu; . /dev/stdin; printf "%s\\0" "$V" "$W"'
        done = subprocess.run(["sh", "-c", script], input=text.encode(), capture_output=True, check=True, env={})
        assert done.stdout.decode().split("\0")[:2] == [value, f"x{value}"]


@given(VALUES)
@example("a # b")
@example("${V0}")
def test_dotenv_reads_the_value_back(value: str) -> None:
    """python-dotenv reads the value unchanged, or the template is an error."""
    text = written("BEFORE=1\nV={{ .v | toEnv }}\nAFTER=2\n", value)
    if text is not None:
        assert dotenv.dotenv_values(stream=io.StringIO(text)) == {"BEFORE": "1", "V": value, "AFTER": "2"}


@given(VALUES)
@example("a%b")
@example("a\n[other]")
def test_configparser_reads_the_value_back(value: str) -> None:
    """configparser reads the value unchanged, or the template is an error."""
    text = written("[s]\nv = {{ .v | toIni }}\nw = 1\n", value)
    if text is not None:
        read = configparser.ConfigParser()
        read.read_string(text)
        assert {name: dict(section) for name, section in read.items()} == {"DEFAULT": {}, "s": {"v": value, "w": "1"}}


@settings(deadline=None)
@given(VALUES | HOSTILE)
@example("1e3")
def test_documents_are_read_back(value: str) -> None:
    """Parsers of TOML, YAML 1.1, YAML 1.2 and JSON read the value unchanged, whatever is in it."""
    toml, document, json_text = (
        written("v = {{ .v | toToml }}\nw = 1\n", value),
        written("v: {{ .v | toYaml }}\nw: 1\n", value),
        written('{"v": {{ .v | toJson }}, "w": 1}', value),
    )
    assert toml is not None and document is not None and json_text is not None  # noqa: PT018 - for the type checker
    expected = {"v": value, "w": 1}
    assert tomllib.loads(toml) == yaml.safe_load(document) == json.loads(json_text) == expected
    assert ruamel.yaml.YAML(typ="safe", pure=True).load(document) == expected


@pytest.mark.parametrize("name", QUOTING_FUNCTIONS)
@pytest.mark.parametrize("value", ["plain", "a b", 5432, True, 1.5, "0123", "50$"])
def test_a_template_and_a_format_write_a_value_alike(name: str, value: Any) -> None:
    """A file of the format contains the text that the function writes."""
    if name != "toJson":  # Sprig's, which escapes as Go does
        file = formats.write_content(name[2:].lower(), formats.RecordContent("r", {"v": value})).decode()
        assert str(written(f"{{{{ .v | {name} }}}}", value)) in file


UNWRITABLE = {
    "line break": (
        "{{ .v | toEnv }}",
        f"{SECRET}\n",
        "function toEnv: the value has a line break or control character",
    ),
    "percent": ("{{ .v | toIni }}", f"{SECRET}%", "function toIni: the value has a '%'"),
    "NUL": ("{{ .v | toShell }}", f"{SECRET}\0", "function toShell: the value has a NUL character"),
    "list": ("{{ .v | toProperties }}", [SECRET], "function toProperties: a list or an object is not one value"),
    "object": ("{{ .v | toShell }}", {"a": SECRET}, "function toShell: a list or an object is not one value"),
    "null": ("{{ .v | toEnv }}", None, "function toEnv: the value is null"),
    "null in TOML": ("{{ .v | toToml }}", [None], "function toToml: a list contains null"),
    "missing": ("{{ .x | toProperties }}", SECRET, "function toProperties: there is no field x"),
    "surrogate": ("{{ .v | toYaml }}", f"{SECRET}\ud800", "function toYaml: the value contains a lone surrogate"),
    "two arguments": ("{{ toShell .v .v }}", SECRET, "function toShell: the number of arguments is wrong"),
}


@pytest.mark.parametrize(("source", "value", "found"), UNWRITABLE.values(), ids=UNWRITABLE.keys())
def test_a_value_that_a_format_cannot_represent_is_an_error(source: str, value: Any, found: str) -> None:
    """The error names the function and the fault, and not the value."""
    assert error_of(source, {"v": value}).startswith(f"template, rendering line 1, {found}")


PATHS = {
    "/app/a.properties": "toProperties", "/app/.env": "toEnv", "/app/prod.ENV": "toEnv", "/app/a.sh": "toShell",
    "/app/a.ini": "toIni", "/app/a.yml": "toYaml", "/app/a.yaml": "toYaml", "/app/a.json": "toJson", "/a/b.toml": "toToml",
    "/app/a.txt": None, "/app/a": None, "/app/a.p12": None, "/app/a.conf": None, "/app.env/a": None, "/app/properties": None,
}  # fmt: skip


@pytest.mark.parametrize(("path", "function"), PATHS.items())
def test_the_suffix_of_a_path_tells_the_function(path: str, function: str | None) -> None:
    """A suffix without a rule of quoting has no function."""
    assert quoting_function_for(path) == function
