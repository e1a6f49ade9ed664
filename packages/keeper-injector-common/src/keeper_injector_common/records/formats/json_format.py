"""JSON: one object with the fields by name, structured values as they are, for programs and for people.

Nothing is renamed, flattened or left out. UTF-8 without escapes but the ones that RFC 8259 demands, two spaces of
indentation, keys in the record's order, a newline at the end.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from keeper_injector_common.records.formats.interface import Format

if TYPE_CHECKING:
    from keeper_injector_common.records.formats.interface import RecordContent


def _write_json(content: RecordContent) -> bytes:
    """Write one JSON object."""
    return (json.dumps(dict(content.fields), ensure_ascii=False, indent=2) + "\n").encode()


FORMAT = Format("json", _write_json, "one object; structured values stay objects and lists", "json")
