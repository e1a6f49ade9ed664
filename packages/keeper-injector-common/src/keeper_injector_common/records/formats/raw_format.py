"""Raw: one value and nothing around it, no newline at its end either.

Text is written as it is, NUL and newlines included; a list or an object as compact JSON. A record of several values
is refused: which one is meant is for the user to say.
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
    """Write the only value."""
    if len(content.fields) != 1:
        names = ", ".join(content.fields) or "none"
        raise FormatError(
            f"record {content.title!r}: raw is for one value, the record has {names}; write record[field]"
        )
    (value,) = content.fields.values()
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return scalar_text(value).encode()


FORMAT = Format("raw", _write_raw, "one value, byte for byte", "")
