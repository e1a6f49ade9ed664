"""Every format read back by a parser that we did not write: the same values, or a refusal, never other values."""

from __future__ import annotations

import base64
import configparser
import io
import json
import re
import subprocess
import tomllib
from typing import TYPE_CHECKING, Any

import dotenv
import jproperties
import pytest
import ruamel.yaml
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from keeper_injector_common.errors import FormatError
from keeper_injector_common.records import formats

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
HOSTILE = st.text(
    st.sampled_from("aZ9_ \t\r\n'\"`\\$#%;:=!&|<>(){}[]~*?-.,/@^\0\x1b\x7f\x85\xa0é\u2028\ufeff😀"), max_size=30
)
VALUES = TEXT | HOSTILE
SCALARS = VALUES | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(VALUES, inner, max_size=3), max_leaves=8
)
RECORDS = st.dictionaries(VALUES, JSON, max_size=5)
LINES = st.lists(VALUES, min_size=1, max_size=4).map(lambda values: {f"v{n}": value for n, value in enumerate(values)})
"""Records with harmless names, for formats that have names of their own kind."""
PEM = "-----BEGIN PRIVATE KEY-----\nMIIB+/==\nAAAA\n-----END PRIVATE KEY-----\n"
SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
WITH_PROCESSES = settings(SLOW, max_examples=60)


def render(name: str, fields: dict[str, Any]) -> bytes:
    """Write a record of these fields."""
    return formats.write_content(name, formats.RecordContent("Prod DB", fields))


@given(RECORDS)
@example({"": "", "a": {"": [None]}, "b": "\u2028\0"})
def test_json(fields: dict[str, Any]) -> None:
    """JSON gives back exactly what went in, in the record's order."""
    read = json.loads(render("json", fields))
    assert read == fields
    assert list(read) == list(fields)


@given(JSON)
def test_raw(value: Any) -> None:
    """Raw text is the bytes of the text; a structured value is JSON."""
    written = render("raw", {"field": value})
    if isinstance(value, str):
        assert written == value.encode()
    elif value is not None:
        assert json.loads(written) == value


YAML_1_2 = ruamel.yaml.YAML(typ="safe", pure=True)
YAML_1_2.version = (1, 2)
WORDS = [
    *("yes", "No", "ON", "off", "y", "N", "true", "False", "null", "Null", "~", "<<", "=", "", " ", "a: b", "- a", "#"),
    *("1", "1_000", "0o7", "017", "0x1F", "1e3", "1:30", ".5", ".inf", ".NaN", "2024-01-01", "12:30:45", "0b1", "+1"),
    *("&a", "*a", "!t", "|", ">", "%", "@", "`", "{", "]", "? a", "---", "...", "a #b", "a\\b", "\\n", '"', "'", "\t"),
    *("a\nb", "a\n\nb\n", " a\nb", "a\n b\n", "a \nb", "\na", "a\n\n", "a\r\nb", "a\x85b", "a\u2028b\nc", "\ufeffa"),
    *("a\n---\nb", "a\n...\nb\n", "a\n#b\n", PEM, "x" * 5000, "word " * 500, "😀" * 90, "Ω" * 200),
]


@SLOW
@given(RECORDS)
@example({word: word for word in WORDS})
@example({"list": WORDS, "nested": {"a": [[], {}, [[]], {"b": WORDS}]}})
@example({"floats": [1e16, -0.0, 1e-7, 5e300, 0.1], "whole": [10**30, -1, 0]})
def test_yaml(fields: dict[str, Any]) -> None:
    """YAML means the same to a parser of YAML 1.1 and to one of YAML 1.2: what went in."""
    written = render("yaml", fields)
    assert yaml.safe_load(written) == fields
    assert json.dumps(YAML_1_2.load(written.decode())) == json.dumps(fields)


def test_yaml_is_for_people_too() -> None:
    """Words stand bare and a PEM is a block, so that a YAML file can be read."""
    written = render("yaml", {"login": "admin", "answer": "yes", "port": 5432, "key": PEM, "hosts": ["a", "b"]})
    block = "".join(f"  {line}\n" for line in PEM.splitlines())
    assert written.decode() == f'login: admin\nanswer: "yes"\nport: 5432\nkey: |\n{block}hosts:\n- a\n- b\n'


def without_null(value: Any) -> Any:
    """Leave out every key without a value, as TOML must."""
    match value:
        case dict():
            return {key: without_null(item) for key, item in value.items() if item is not None}
        case list():
            return [without_null(item) for item in value]
        case _:
            return value


def holds(value: Any, wanted: Any) -> bool:
    """Say whether *wanted* finds anything inside of *value*."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return bool(wanted(value)) or any(holds(item, wanted) for item in inside)


def beyond_toml(value: Any) -> bool:
    """Say whether TOML cannot hold *value*: it has neither null in lists nor more than 64 bits."""
    return (isinstance(value, int) and not -(2**63) <= value < 2**63) or (isinstance(value, list) and None in value)


@given(RECORDS)
@example({"\x7f\0\x1f": "\x7f\0\x1f\t\b\f\\\"'''", "a.b": {"c d": {}}, "e": [[], [1, "two", {"f": 3.0}]]})
@example({"n": [None]})
@example({"n": 2**63})
def test_toml(fields: dict[str, Any]) -> None:
    """TOML gives back what went in but nulls; what it cannot hold is refused."""
    kept = without_null(fields)
    if holds(kept, beyond_toml):
        with pytest.raises(FormatError):
            render("toml", fields)
        return
    read = tomllib.loads(render("toml", fields).decode())
    assert read == kept
    assert list(read) == list(kept)


NO_BOM = VALUES.map(lambda text: text.replace("\ufeff", ""))
"""jproperties loses an escaped byte order mark; the test against Java itself has one."""


@given(st.dictionaries(NO_BOM.filter(bool), NO_BOM, max_size=5))
@example({" a:b=c#!\\": "  two spaces  ", "#": "#", "!": "!", "\0": "\0"})
@example({"emoji 😀": "é\u2028\x85😀", "tab\t": "\t\n\r\f "})
def test_properties(fields: dict[str, str]) -> None:
    """A reader of Java's properties finds every name and value as they were."""
    read = jproperties.Properties()
    read.load(io.BytesIO(render("properties", fields)), "iso-8859-1")
    assert {name: value.data for name, value in read.items()} == fields


def as_python_reads_ini(written: bytes) -> Iterator[dict[str, str]]:
    """Read an INI file as configparser does by default, raw, with comments after values, and by ``${}``'s rules."""
    comments = {"inline_comment_prefixes": ("#", ";")}
    for options in ({}, {"interpolation": None}, comments, comments | {"interpolation": None}):
        parser = configparser.ConfigParser(**options)
        parser.read_file(io.TextIOWrapper(io.BytesIO(written), "utf-8"))
        yield dict(parser["secret"])


@given(LINES)
@example({"v0": "a%b"})
@example({"v0": "a;b#c=d:e"})
@example({"v0": "[x]"})
@example({"v0": "", "v1": "v0 = 3"})
def test_ini(fields: dict[str, str]) -> None:
    """Every way in which configparser can be set up reads the same values, or the value is refused."""
    try:
        written = render("ini", fields)
    except FormatError:
        return
    assert [*as_python_reads_ini(written)] == [fields] * 4


@given(VALUES)
@example("[x]")
@example("a=b:c")
@example(" # a")
@example("İ")
def test_ini_names(name: str) -> None:
    """Whatever a field is called, an INI file has it as one option."""
    (read, *_) = as_python_reads_ini(render("ini", {name: "value"}))
    assert list(read.values()) == ["value"]


def as_docker_reads(written: bytes) -> dict[str, str]:
    """Read as docker's --env-file does (docker/cli, pkg/kvfile): literally, line by line."""
    variables = {}
    for line in written.decode().removeprefix("\ufeff").split("\n"):
        line = line.removesuffix("\r").lstrip()  # noqa: PLW2901 - the line as docker has it from here on
        if line and not line.startswith("#"):
            name, equals, value = line.partition("=")
            assert equals
            assert not set(name) & set(" \t")
            assert len(line.encode()) < 64 * 1024
            variables[name] = value
    return variables


NODE_LINE = re.compile(
    r"^\s*(?:export\s+)?([\w.-]+)(?:\s*=\s*?|:\s+?)"
    r"(\s*'(?:\\'|[^'])*'|\s*\"(?:\\\"|[^\"])*\"|\s*`(?:\\`|[^`])*`|[^#\r\n]+)?\s*(?:#.*)?$",
    re.MULTILINE,
)
"""The expression by which Node's dotenv 16 finds a variable (motdotla/dotenv, lib/main.js)."""


def as_node_reads(written: bytes) -> dict[str, str]:
    """Read as Node's dotenv 16 does."""
    variables = {}
    for match in NODE_LINE.finditer(re.sub(r"\r\n?", "\n", written.decode())):
        value = (match[2] or "").strip(" \t\n\r\v\f\xa0\ufeff\u1680\u2028\u2029\u202f\u205f\u3000").strip()
        bare = re.sub(r"^(['\"`])([\s\S]*)\1$", r"\2", value, flags=re.MULTILINE)
        variables[match[1]] = bare.replace("\\n", "\n").replace("\\r", "\r") if value.startswith('"') else bare
    return variables


def as_python_reads_env(written: bytes) -> dict[str, str | None]:
    """Read as python-dotenv does, ``${NAME}`` expanded."""
    return dict(dotenv.dotenv_values(stream=io.StringIO(written.decode(), newline=None)))


@given(LINES)
@example({"v0": "postgres://u:p@h/db?a=1&b=2;c|d"})
@example({"v0": 'it\'s `so` "nice"'})
@example({"v0": "p$ $", "v1": "${V0}"})
@example({"v0": "", "v1": "", "v2": "export A=b"})
def test_env(fields: dict[str, str]) -> None:
    """Docker, Python's dotenv and Node's read the same values, or the value is refused."""
    try:
        written = render("env", fields)
    except FormatError:
        return
    expected = {name.upper(): value for name, value in fields.items()}
    assert as_docker_reads(written) == expected
    assert as_node_reads(written) == expected
    assert as_python_reads_env(written) == expected


def as_shell_reads(shell: str, written: bytes, count: int) -> list[bytes]:
    """Source a file in *shell*, with all that may go wrong made fatal, and print what it set."""
    script = f'set -eu; . /dev/stdin; printf "%s\\0" {" ".join(f"${{V{n}}}".join(chr(34) * 2) for n in range(count))}'
    done = subprocess.run([shell, "-c", script], input=written, capture_output=True, check=True, env={})
    assert done.stderr == b""
    return done.stdout.split(b"\0")[:-1]


@pytest.mark.parametrize("shell", ["dash", "bash"])
@WITH_PROCESSES
@given(fields=LINES)
@example(fields={"v0": "'; touch /tmp/pwned; '", "v1": "$(id)`id`${HOME}", "v2": "\\'\n'\\''", "v3": "!!\r\n\t*~"})
@example(fields={"v0": PEM, "v1": "-n", "v2": "\\", "v3": ""})
def test_shell(shell: str, fields: dict[str, str]) -> None:
    """A shell that sources the file has every value as it was, and runs nothing; NUL is refused."""
    if any("\0" in value for value in fields.values()):
        with pytest.raises(FormatError, match="NUL"):
            render("shell", fields)
        return
    read = as_shell_reads(shell, render("shell", fields), len(fields))
    assert read == [value.encode() for value in fields.values()]


@given(LINES)
def test_variables(fields: dict[str, str]) -> None:
    """Entries for keeper-exec are the process environment's own form; NUL is refused."""
    if any("\0" in value for value in fields.values()):
        with pytest.raises(FormatError, match="NUL"):
            render("variables", fields)
        return
    *entries, last = render("variables", fields).decode().split("\0")
    assert last == ""
    assert dict(entry.split("=", 1) for entry in entries) == {name.upper(): value for name, value in fields.items()}


def as_kubelet_reads(written: bytes) -> dict[str, str]:
    """Read as Kubernetes 1.35 does (pkg/kubelet/util/env): by lines, whose ends lose a carriage return."""
    lines = iter([line.removesuffix("\r") for line in written.decode().split("\n")])
    variables = {}
    for line in lines:
        start = line.lstrip(" \t")
        if not start or start.startswith("#"):
            continue
        name, _, rest = start.partition("=")
        assert rest.startswith("'")
        assert name == name.rstrip(" \t")
        value, rest = "", rest[1:]
        while "'" not in rest:
            value, rest = f"{value}{rest}\n", next(lines)
        end, _, after = rest.partition("'")
        assert not after.strip(" \t")
        variables[name] = value + end
    return variables


@given(LINES)
@example({"v0": "a\r\nb"})
@example({"v0": "a\r", "v1": "\n#\nV9=1\n"})
def test_envfile(fields: dict[str, str]) -> None:
    """The kubelet reads every value as it was, or the value is refused with the way to do without the kubelet."""
    unwritable = [name for name, value in fields.items() if re.search(r"'|\0|\r\n", value)]
    if unwritable:
        with pytest.raises(FormatError, match=f"variable {unwritable[0].upper()}: .*; (set|deliver)"):
            render("envfile", fields)
        return
    written = render("envfile", fields)
    assert as_kubelet_reads(written) == {name.upper(): value for name, value in fields.items()}


@given(VALUES.filter(bool), VALUES.filter(bool))
@example("user", "p:a:s's\"")
def test_dockerconfigjson(user: str, password: str) -> None:
    """A registry is sent the user and the password as they were; a user that would be cut is refused."""
    fields = {"login": user, "password": password, "host": {"hostName": "registry.example", "port": "5000"}}
    if ":" in user:
        with pytest.raises(FormatError, match="':'"):
            render("dockerconfigjson", fields)
        return
    entry = json.loads(render("dockerconfigjson", fields))["auths"]["registry.example:5000"]
    assert (entry["username"], entry["password"]) == (user, password)
    assert base64.b64decode(entry["auth"]).decode().split(":", 1) == [user, password]
