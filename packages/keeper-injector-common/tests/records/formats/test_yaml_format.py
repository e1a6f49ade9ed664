"""``yaml`` files are read back by a parser of YAML 1.1 and by one of YAML 1.2."""

from __future__ import annotations

import json
from typing import Any

import ruamel.yaml
import yaml
from format_samples import PEM, RECORD, RECORDS, SLOW, write_bytes, write_text
from hypothesis import example, given


def test_record_with_values_of_every_shape() -> None:
    """Names, order and structure are part of the contract; a new version must not change them."""
    assert (
        write_text("yaml", RECORD)
        == """\
login: admin
password: "s3ntinel-Ω"
address:
  street1: "1 Main St"
  city: null
phone:
- number: "555"
  type: Work
- number: "556"
tags: []
active: true
port: 5432
"API Key": k
"""
    )


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
def test_both_versions_read_the_same_values(fields: dict[str, Any]) -> None:
    """A parser of YAML 1.1 and one of YAML 1.2 both give every value back unchanged."""
    written = write_bytes("yaml", fields)
    assert yaml.safe_load(written) == fields
    assert json.dumps(YAML_1_2.load(written.decode())) == json.dumps(fields)


def test_file_is_readable_for_people() -> None:
    """Plain words are unquoted and a PEM is a block, so that people can read the file."""
    written = write_text("yaml", {"login": "admin", "answer": "yes", "port": 5432, "key": PEM, "hosts": ["a", "b"]})
    block = "".join(f"  {line}\n" for line in PEM.splitlines())
    assert written == f'login: admin\nanswer: "yes"\nport: 5432\nkey: |\n{block}hosts:\n- a\n- b\n'
