"""JSON: one object with the fields by name, in the record's order, readable by people too."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from keeper_injector_common.formats.content import Format

if TYPE_CHECKING:
    from keeper_injector_common.formats.content import Content


def render(content: Content) -> bytes:
    """Write UTF-8 with two spaces of indentation and a newline at the end (RFC 8259)."""
    return (json.dumps(content.fields, ensure_ascii=False, indent=2) + "\n").encode()


FORMAT = Format("json", render, "one object; structured values stay objects and lists")
