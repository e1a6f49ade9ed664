"""``raw``: one value and nothing else, not even a newline at the end.

The field password of a record::

    s3cret

Text is written byte for byte, including NUL and newlines; a list or an object is written as compact JSON. A record with
several values is rejected, because only the user can say which one is meant.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from keeper_injector_common.errors import FormatError
from keeper_injector_common.records.formats.flattening import scalar_text
from keeper_injector_common.records.formats.interface import Format

if TYPE_CHECKING:
    from keeper_injector_common.records.formats.interface import RecordContent


def _write_raw(content: RecordContent) -> bytes:
    if len(content.fields) != 1:
        names = ", ".join(content.fields) or "none"
        raise FormatError(
            f"record {content.title!r}: raw takes one value, but the record has {names}; write record[field]"
        )
    (value,) = content.fields.values()
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return scalar_text(value).encode()


FORMAT = Format("raw", _write_raw, "one value, byte for byte")
