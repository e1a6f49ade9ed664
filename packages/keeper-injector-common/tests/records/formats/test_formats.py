"""What all formats have in common: known names, repeatable bytes, and errors for values that no format can write."""

from __future__ import annotations

import importlib
import json
import math
import subprocess
import sys
import textwrap
from typing import Any

import pytest
from format_samples import RECORD, SECRET, write_text

from keeper_injector_common.errors import FormatError
from keeper_injector_common.plan import delivery
from keeper_injector_common.records import formats

TEXT_FORMATS = ["json", "env", "properties", "yaml", "ini", "toml", "shell"]


def test_formats_are_those_that_annotations_offer() -> None:
    """The values of `format:` are one list, in the order of the documentation."""
    assert list(formats.FORMATS) == [
        *("json", "env", "properties", "yaml", "ini", "raw", "toml", "shell", "dockerconfigjson", "pkcs12")
    ]
    assert list(formats.FORMATS) == list(delivery.FORMATS)
    assert list(formats.VARIABLE_FORMATS) == ["variables", "envfile"]
    for name, form in {**formats.FORMATS, **formats.VARIABLE_FORMATS}.items():
        assert form.name == name
        assert form.description


def test_unknown_format_lists_the_known_ones() -> None:
    """A format of a newer version is an error that lists the formats of this version."""
    with pytest.raises(FormatError, match=r"^format 'jsno': is unknown to this version; use json, env, properties"):
        write_text("jsno", {})


@pytest.mark.parametrize("name", [*TEXT_FORMATS, "variables", "envfile"])
def test_equal_content_gives_equal_bytes(name: str) -> None:
    """Equal content gives equal bytes, so that a refresh without a change notifies nobody."""
    assert write_text(name, RECORD) == write_text(name, json.loads(json.dumps(RECORD)))
    assert {**formats.FORMATS, **formats.VARIABLE_FORMATS}[name].repeatable


@pytest.mark.parametrize("name", TEXT_FORMATS)
def test_record_without_fields(name: str) -> None:
    """An empty record is a small valid file."""
    empty = {"json": "{}\n", "yaml": "{}\n", "ini": "[secret]\n"}
    assert write_text(name, {}) == empty.get(name, "")


UNWRITABLE = {
    "high surrogate": ("\ud800", "contains a lone surrogate"),
    "low surrogate": ("a\udfffb", "contains a lone surrogate"),
    "deep surrogate": ({"a": [{"b": "\udc00"}]}, "contains a lone surrogate"),
    "surrogate in a name": ({"\ud800": "a"}, "contains a lone surrogate"),
    "not a number": (math.nan, "contains NaN or infinity"),
    "infinite": ([math.inf], "contains NaN or infinity"),
}


@pytest.mark.parametrize("name", [*formats.FORMATS, *formats.VARIABLE_FORMATS])
@pytest.mark.parametrize(("value", "fault"), UNWRITABLE.values(), ids=UNWRITABLE.keys())
def test_value_that_no_format_can_write_is_rejected(name: str, value: Any, fault: str) -> None:
    """Every format rejects invalid text and numbers with the same message, which names the field."""
    with pytest.raises(FormatError, match=rf"^record 'Prod DB', field 'odd': {fault}"):
        write_text(name, {"odd": value})


@pytest.mark.parametrize("name", ["json", "yaml", "toml", "env", "properties"])
@pytest.mark.parametrize("depth", [400, 990, 100_000])
def test_deeply_nested_value_is_an_error(name: str, depth: int) -> None:
    """A value that is nested too deeply is an error of its record and does not crash the process."""
    deep: Any = SECRET
    for _ in range(depth):
        deep = [deep]
    try:
        write_text(name, {"deep": deep})
    except FormatError as error:
        assert str(error) == "record 'Prod DB': a value is nested too deeply; deliver it by itself"  # noqa: PT017
    else:
        assert depth < 1000


def test_importing_formats_loads_no_libraries() -> None:
    """Importing all formats loads neither cryptography nor PyYAML, so that only users of these formats pay for them."""
    script = "import sys, keeper_injector_common.records.formats; print({'cryptography', 'yaml'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    assert done.stdout == "set()\n"


ADDRESS = {"city": "Bern"}
LOGIN = {"login": "admin", "password": "s3cret"}
DOCUMENTED: dict[str, dict[str, Any]] = {
    "json": {"login": "admin", "address": ADDRESS},
    "env": {**LOGIN, "address": {"street1": "1 Main St", "city": "Bern"}},
    "properties": {"login": "admin", "password": "s3crét", "address": ADDRESS},
    "yaml": {"login": "admin", "answer": "yes", "port": 5432, "address": ADDRESS},
    "ini": {**LOGIN, "address": ADDRESS},
    "raw": {"password": "s3cret"},
    "toml": {"login": "admin", "address": ADDRESS, "phone": ["555", "556"], "API key": "k"},
    "shell": {"login": "admin", "password": "it's"},
    "dockerconfigjson": {**LOGIN, "host": "ghcr.io"},
    "variables": LOGIN,
    "envfile": LOGIN,
}


@pytest.mark.parametrize(("name", "fields"), DOCUMENTED.items(), ids=DOCUMENTED.keys())
def test_docstring_shows_what_the_format_writes(name: str, fields: dict[str, Any]) -> None:
    """The example in the docstring of each text format is exactly what the format writes."""
    module = importlib.import_module(f"keeper_injector_common.records.formats.{name}_format")
    written = write_text(name, fields).rstrip("\n").replace("\0", "␀")
    assert module.__doc__ is not None
    assert textwrap.indent(written, "    ") in module.__doc__
