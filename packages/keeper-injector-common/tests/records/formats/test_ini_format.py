"""``ini`` files are read back by every configuration of Python's configparser."""

from __future__ import annotations

import configparser
import io
from typing import TYPE_CHECKING

import pytest
from format_samples import LINES, RECORD, SECRET, VALUES, write_bytes, write_text
from hypothesis import example, given

from keeper_injector_common.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_record_with_values_of_every_shape() -> None:
    """Names, order and flattening are part of the contract; a new version must not change them."""
    assert (
        write_text("ini", RECORD)
        == """\
[secret]
login=admin
password=s3ntinel-Ω
address_street1=1 Main St
address_city=
phone_0_number=555
phone_0_type=Work
phone_1_number=556
tags=
active=true
port=5432
API Key=k
"""
    )


REJECTED = {
    "newline": (f"{SECRET}\nadmin=1", "field 'password': the value has a line break"),
    "percent": (f"{SECRET}%", "has a '%'"),
    "comment": (f"{SECRET} ; x", "has a ';' or '#' where a comment could start"),
}


@pytest.mark.parametrize(("value", "fault"), REJECTED.values(), ids=REJECTED.keys())
def test_a_rejected_value_is_named_with_its_problem_and_alternatives(value: str, fault: str) -> None:
    """A value that readers understand differently is an error with alternatives and without the value."""
    with pytest.raises(FormatError, match=rf"{fault}.*; .*json, yaml or toml") as caught:
        write_text("ini", {"login": "admin", "password": value})
    assert SECRET not in str(caught.value)


ACCEPTED = [
    *("", "a b", "p@ss;w&rd|", "it's", 'say "hi"', "a=b=c", "50$", "$ $", "C:", "é😀"),
    *("a#b", "a;b", "a$b", "C:\\dir"),
]


@pytest.mark.parametrize("value", ACCEPTED)
def test_value_that_readers_agree_on_is_accepted(value: str) -> None:
    """The format rejects only what readers understand differently."""
    assert write_text("ini", {"value": value}) == f"[secret]\nvalue={value}\n"


COLLISIONS = {
    "case": ({"Key": "1", "key": "2"}, "'Key' and 'key' are the same name in an INI file"),
    "special characters": ({"a:b": "1", "a=b": "2"}, "are the same name in an INI file"),
}


@pytest.mark.parametrize(("fields", "message"), COLLISIONS.values(), ids=COLLISIONS.keys())
def test_two_fields_with_one_name_are_rejected(fields: dict[str, str], message: str) -> None:
    """A value never silently replaces another one."""
    with pytest.raises(FormatError, match=message):
        write_text("ini", fields)


def as_python_reads(written: bytes) -> Iterator[dict[str, str]]:
    """Read an INI file as configparser does by default, without interpolation, and with comments after values."""
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
def test_every_configuration_of_configparser_reads_the_same_values(fields: dict[str, str]) -> None:
    """Every configuration of configparser reads the same values, or the value is rejected."""
    try:
        written = write_bytes("ini", fields)
    except FormatError:
        return
    assert [*as_python_reads(written)] == [fields] * 4


@given(VALUES)
@example("[x]")
@example("a=b:c")
@example(" # a")
@example("İ")
def test_any_field_name_becomes_one_option(name: str) -> None:
    """A field with any name is one option of the INI file."""
    (read, *_) = as_python_reads(write_bytes("ini", {name: "value"}))
    assert list(read.values()) == ["value"]
