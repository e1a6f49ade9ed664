"""``properties`` files are read back by jproperties and, if installed, by Java itself."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import jproperties
import pytest
from format_samples import RECORD, VALUES, as_java_reads, needs_java, write_bytes, write_text
from hypothesis import example, given
from hypothesis import strategies as st

from keeper_injector_common.errors import FormatError

if TYPE_CHECKING:
    from pathlib import Path


def test_record_with_values_of_every_shape() -> None:
    """Names, order and flattening are part of the contract; a new version must not change them."""
    assert (
        write_text("properties", RECORD)
        == """\
login=admin
password=s3ntinel-\\u03A9
address.street1=1 Main St
address.city=
phone[0].number=555
phone[0].type=Work
phone[1].number=556
tags=
active=true
port=5432
API\\ Key=k
"""
    )


def test_two_values_with_one_name_are_rejected() -> None:
    """A value never silently replaces another one."""
    with pytest.raises(FormatError, match=r"two values are named 'a\.b'"):
        write_text("properties", {"a.b": "1", "a": {"b": "2"}})


NO_BOM = VALUES.map(lambda text: text.replace("\ufeff", ""))
"""jproperties loses an escaped byte order mark; the test against Java has one."""


@given(st.dictionaries(NO_BOM.filter(bool), NO_BOM, max_size=5))
@example({" a:b=c#!\\": "  two spaces  ", "#": "#", "!": "!", "\0": "\0"})
@example({"emoji 😀": "é\u2028\x85😀", "tab\t": "\t\n\r\f "})
def test_names_and_values_are_read_back(fields: dict[str, str]) -> None:
    """A reader of Java's properties gets every name and value unchanged."""
    read = jproperties.Properties()
    read.load(io.BytesIO(write_bytes("properties", fields)), "iso-8859-1")
    assert {name: value.data for name, value in read.items()} == fields


@needs_java
def test_java_reads_names_and_values(tmp_path: Path) -> None:
    """Java's own class gets every name and value unchanged, including line breaks, a byte order mark and emoji."""
    odd = [
        " ",
        "  a ",
        "=",
        ":",
        "#",
        "!",
        "\\",
        "\\n",
        "\n",
        "\r\n",
        "\t\f\0",
        "é",
        "\ufeff",
        "😀",
        "\u2028",
        "a=b",
        "\x7f",
    ]
    fields = {f"name {value}": value for value in odd} | dict.fromkeys(odd, "value")
    (tmp_path / "file.properties").write_bytes(write_bytes("properties", fields))
    assert as_java_reads(tmp_path / "file.properties") == fields
