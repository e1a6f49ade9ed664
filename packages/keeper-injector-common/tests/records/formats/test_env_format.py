"""``env`` files are read back as docker, Python's dotenv and Node's dotenv do."""

from __future__ import annotations

import io
import re

import dotenv
import pytest
from format_samples import LINES, RECORD, SECRET, write_bytes, write_text
from hypothesis import example, given

from keeper_injector_common.errors import FormatError


def test_record_with_values_of_every_shape() -> None:
    """Names, order and flattening are part of the contract; a new version must not change them."""
    assert (
        write_text("env", RECORD)
        == """\
LOGIN=admin
PASSWORD=s3ntinel-Ω
ADDRESS_STREET1=1 Main St
ADDRESS_CITY=
PHONE_0_NUMBER=555
PHONE_0_TYPE=Work
PHONE_1_NUMBER=556
TAGS=
ACTIVE=true
PORT=5432
API_KEY=k
"""
    )


REJECTED = {
    "newline": (f"{SECRET}\n", "variable PASSWORD: the value has a line break", "shell, json or yaml"),
    "edge": (f" {SECRET}", "has leading or trailing white space", "shell, json or yaml"),
    "quote": (f"'{SECRET}'", "has a leading quote", "shell, json or yaml"),
    "hash": (f"{SECRET}#1", "has a '#'", "shell, json or yaml"),
    "backslash": (f"{SECRET}\\n", "has a backslash", "shell, json or yaml"),
    "dollar": (f"{SECRET}$x", r"has a '\$' that starts a variable", "shell, json or yaml"),
    "size": (SECRET * 9000, "longer than the 64 KiB that docker reads", "json or raw"),
}


@pytest.mark.parametrize(("value", "fault", "alternatives"), REJECTED.values(), ids=REJECTED.keys())
def test_a_rejected_value_is_named_with_its_problem_and_alternatives(value: str, fault: str, alternatives: str) -> None:
    """A value that readers understand differently is an error with alternatives and without the value."""
    with pytest.raises(FormatError, match=rf"{fault}.*; .*{alternatives}") as caught:
        write_text("env", {"login": "admin", "password": value})
    assert SECRET not in str(caught.value)


ACCEPTED = [
    "",
    "a b",
    "p@ss;w&rd|",
    "it's",
    'say "hi"',
    "a=b=c",
    "50$",
    "$ $",
    "https://u:p@h:1/x?a=1&b=%20",
    "C:",
    "é😀",
]


@pytest.mark.parametrize("value", ACCEPTED)
def test_value_that_readers_agree_on_is_accepted(value: str) -> None:
    """The format rejects only what readers understand differently."""
    assert write_text("env", {"value": value}) == f"VALUE={value}\n"


COLLISIONS = {
    "case": ({"api key": "a", "API-KEY": "b"}, "'api key' and 'API-KEY' become the same variable API_KEY"),
    "same flat name": ({"a": {"b": "1"}, "a_b": "2"}, "two values are named 'a_b'"),
}


@pytest.mark.parametrize(("fields", "message"), COLLISIONS.values(), ids=COLLISIONS.keys())
def test_two_fields_with_one_name_are_rejected(fields: dict[str, object], message: str) -> None:
    """A value never silently replaces another one."""
    with pytest.raises(FormatError, match=message):
        write_text("env", fields)


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
"""The expression with which Node's dotenv 16 finds a variable (motdotla/dotenv, lib/main.js)."""


def as_node_reads(written: bytes) -> dict[str, str]:
    """Read as Node's dotenv 16 does."""
    variables = {}
    for match in NODE_LINE.finditer(re.sub(r"\r\n?", "\n", written.decode())):
        value = (match[2] or "").strip(" \t\n\r\v\f\xa0\ufeff\u1680\u2028\u2029\u202f\u205f\u3000").strip()
        unquoted = re.sub(r"^(['\"`])([\s\S]*)\1$", r"\2", value, flags=re.MULTILINE)
        variables[match[1]] = unquoted.replace("\\n", "\n").replace("\\r", "\r") if value.startswith('"') else unquoted
    return variables


def as_python_reads(written: bytes) -> dict[str, str | None]:
    """Read as python-dotenv does, with ``${NAME}`` expanded."""
    return dict(dotenv.dotenv_values(stream=io.StringIO(written.decode(), newline=None)))


@given(LINES)
@example({"v0": "postgres://u:p@h/db?a=1&b=2;c|d"})
@example({"v0": 'it\'s `so` "nice"'})
@example({"v0": "p$ $", "v1": "${V0}"})
@example({"v0": "", "v1": "", "v2": "export A=b"})
def test_all_readers_read_the_same_values(fields: dict[str, str]) -> None:
    """Docker, Python's dotenv and Node's dotenv read the same values, or the value is rejected."""
    try:
        written = write_bytes("env", fields)
    except FormatError:
        return
    expected = {name.upper(): value for name, value in fields.items()}
    assert as_docker_reads(written) == expected
    assert as_node_reads(written) == expected
    assert as_python_reads(written) == expected
