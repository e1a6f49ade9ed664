"""Names that the user wrote are in the file as they are: real readers of each format find the values under them."""

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
from format_samples import SLOW, VALUES, as_java_reads, needs_java
from hypothesis import example, given, settings
from hypothesis import strategies as st

from keeper_injector_common.errors import FormatError
from keeper_injector_common.records.formats import FORMATS, RecordContent, problems_of_keys, write_content

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SPRING = {"login": "spring.datasource.username", "password": "spring.datasource.password"}
VALUES_OF_SPRING = {"spring.datasource.username": "admin", "spring.datasource.password": "s3ntinel"}
NAMES = (
    (st.text("aZ_.09 -:=#!@/[]\\'\"\u00e9", min_size=1, max_size=8) | VALUES)
    .map(lambda text: text.replace("\ufeff", "").strip())
    .filter(bool)
)
"""jproperties loses a byte order mark; the test against Java has one."""


def write(form: str, values: dict[str, Any]) -> bytes:
    """Write a file in which the names are those of the user."""
    return write_content(form, RecordContent("Prod DB", values, exact_names=True))


def read_properties(written: bytes) -> dict[str, str]:
    """Read as jproperties does."""
    read = jproperties.Properties()
    read.load(io.BytesIO(written), "iso-8859-1")
    return {name: item.data for name, item in read.items()}


def read_ini(written: bytes) -> dict[str, str]:
    """Read as configparser does if it keeps the case of names."""
    parser = configparser.ConfigParser()
    parser.optionxform = str  # type: ignore[assignment, method-assign] # the documented way
    parser.read_string(written.decode())
    return dict(parser["secret"])


def read_shell(written: bytes) -> dict[str, str]:
    """Source the file in a POSIX shell and return the variables that it exports."""
    script = "set -eu; unset PWD OLDPWD; . /dev/stdin; exec /usr/bin/env -0"
    done = subprocess.run(["sh", "-c", script], input=written, capture_output=True, check=True, env={})
    return dict(line.decode().split("=", 1) for line in done.stdout.split(b"\0")[:-1] if not line.startswith(b"PWD="))


READERS: dict[str, Callable[[bytes], Any]] = {
    "json": json.loads,
    "properties": read_properties,
    "yaml": yaml.safe_load,
    "toml": lambda written: tomllib.loads(written.decode()),
    "ini": read_ini,
    "env": lambda written: dict(dotenv.dotenv_values(stream=io.StringIO(written.decode()))),
    "shell": read_shell,
}


def test_every_format_with_names_has_a_reader_here() -> None:
    """A new format cannot be forgotten."""
    assert READERS.keys() == {name for name, chosen in FORMATS.items() if chosen.quote}


@pytest.mark.parametrize("form", [form for form in READERS if form != "shell"])
def test_dots_are_part_of_the_name(form: str) -> None:
    """A name with dots is one key in every format: it does not become nested tables of TOML or mappings of YAML."""
    assert [*problems_of_keys(form, SPRING)] == []
    assert READERS[form](write(form, VALUES_OF_SPRING)) == VALUES_OF_SPRING


@pytest.mark.parametrize("form", READERS)
@settings(SLOW, max_examples=80)
@given(names=st.lists(NAMES, min_size=1, max_size=4, unique=True))
@example(names=["yes", "1e3", "a.b", "<<"])
@example(names=["ENV", "Env", "e.n_v"])
@example(names=["export", "_"])
def test_accepted_names_are_read_back(form: str, names: list[str]) -> None:
    """A reader finds each value under the name that was written, or the name is a problem."""
    keys = {f"field {number}": name for number, name in enumerate(names)}
    refused = {keys[field] for field, _ in problems_of_keys(form, keys)}
    values = {name: f"value{number}" for number, name in enumerate(names) if name not in refused}
    assert READERS[form](write(form, values)) == values if values else refused


@given(st.lists(NAMES, min_size=1, max_size=4, unique=True))
def test_yaml_names_are_the_same_in_version_1_2(names: list[str]) -> None:
    """A name such as yes or 1e3 stays text for parsers of YAML 1.2, too."""
    written = write("yaml", dict.fromkeys(names, "v")).decode()
    read = ruamel.yaml.YAML(typ="safe", pure=True).load(written)
    assert json.dumps(read) == json.dumps(dict.fromkeys(names, "v"))


def test_parts_of_a_structured_value_are_added_to_the_name() -> None:
    """The name is the beginning of the names of all parts, in the way of the format."""
    values = {"db": {"hostName": "h", "port": "1"}, "t": ["a", "b"]}
    written = {form: write(form, values).decode() for form in ("properties", "env", "shell", "ini")}
    assert written == {
        "properties": "db.hostName=h\ndb.port=1\nt[0]=a\nt[1]=b\n",
        "env": "db_HOSTNAME=h\ndb_PORT=1\nt_0=a\nt_1=b\n",
        "shell": "export db_HOSTNAME='h'\nexport db_PORT='1'\nexport t_0='a'\nexport t_1='b'\n",
        "ini": "[secret]\ndb_hostName=h\ndb_port=1\nt_0=a\nt_1=b\n",
    }


def test_parts_that_get_the_name_of_another_value_are_rejected() -> None:
    """A value never silently replaces another one."""
    with pytest.raises(FormatError, match="two values are named 'a_B'; set another name in keys or use json"):
        write("env", {"a": {"b": "1"}, "a_B": "2"})


@needs_java
def test_java_reads_the_names(tmp_path: Path) -> None:
    """Java's own class finds values under dotted names and names with every special character."""
    values = {**VALUES_OF_SPRING, "a b=c:d#e!f\\g": "v", "é\u2028😀": "w", "[0].x": "y", "\ufeff": "z"}
    (tmp_path / "db.properties").write_bytes(write("properties", values))
    assert as_java_reads(tmp_path / "db.properties") == values
