"""Raw: one value and nothing around it, no newline at its end either."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from keeper_injector_common.errors import FormatError
from keeper_injector_common.formats.content import Format

if TYPE_CHECKING:
    from keeper_injector_common.formats.content import Content


def render(content: Content) -> bytes:
    """Write the only value: text as it is, a structured one as compact JSON."""
    if len(content.fields) != 1:
        names = ", ".join(content.fields)
        raise FormatError(f"record {content.title!r}: raw is for one value, here are {names}; write record[field]")
    (value,) = content.fields.values()
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode()


FORMAT = Format("raw", render, "one value, byte for byte")
