"""Raw: one value and nothing around it, no newline at its end either.

Text is written as it is, NUL and newlines included; a list or an object as compact JSON. A record of several values
is refused: which one is meant is for the user to say.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from keeper_injector_common.errors import FormatError
from keeper_injector_common.records.formats.content import Format
from keeper_injector_common.records.formats.flat import scalar

if TYPE_CHECKING:
    from keeper_injector_common.records.formats.content import Content


def render(content: Content) -> bytes:
    """Write the only value."""
    if len(content.fields) != 1:
        names = ", ".join(content.fields) or "none"
        raise FormatError(
            f"record {content.title!r}: raw is for one value, the record has {names}; write record[field]"
        )
    (value,) = content.fields.values()
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return scalar(value).encode()


FORMAT = Format("raw", render, "one value, byte for byte", "")
