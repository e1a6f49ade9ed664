"""``json`` files are read back by the standard library."""

from __future__ import annotations

import json
from typing import Any

from format_samples import RECORDS, write_bytes
from hypothesis import example, given


@given(RECORDS)
@example({"": "", "a": {"": [None]}, "b": "\u2028\0"})
def test_values_and_their_order_are_read_back(fields: dict[str, Any]) -> None:
    """JSON gives every value back unchanged, in the order of the record."""
    read = json.loads(write_bytes("json", fields))
    assert read == fields
    assert list(read) == list(fields)
