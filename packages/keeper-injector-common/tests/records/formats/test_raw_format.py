"""``raw`` files contain one value and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from format_samples import JSON, SECRET, write_bytes, write_text
from hypothesis import given

from keeper_injector_common.errors import FormatError


def test_one_value_is_written_and_several_are_rejected() -> None:
    """One value is written byte for byte; several are rejected with a way to choose one."""
    assert write_text("raw", {"password": f" {SECRET}\0\r\n"}) == f" {SECRET}\0\r\n"
    assert write_text("raw", {"host": {"hostName": "h", "port": "1"}}) == '{"hostName":"h","port":"1"}'
    assert write_text("raw", {"none": None}) == ""
    assert write_text("raw", {"flag": True}) == "true"
    with pytest.raises(FormatError, match=r"^record 'Prod DB': .* login, password; write record\[field\]$"):
        write_text("raw", {"login": "a", "password": SECRET})
    with pytest.raises(FormatError, match=r"the record has none;"):
        write_text("raw", {})


@given(JSON)
def test_text_is_its_bytes_and_the_rest_is_json(value: Any) -> None:
    """Text is written as its bytes; a structured value is JSON."""
    written = write_bytes("raw", {"field": value})
    if isinstance(value, str):
        assert written == value.encode()
    elif value is not None:
        assert json.loads(written) == value
