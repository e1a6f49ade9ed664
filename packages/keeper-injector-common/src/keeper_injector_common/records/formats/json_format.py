"""``json``: one object with the fields by name; structured values stay objects and lists.

A record with the fields login and address::

    {
      "login": "admin",
      "address": {
        "city": "Bern"
      }
    }

Nothing is renamed, flattened or left out. UTF-8 with only the escapes that RFC 8259 requires, indented by two spaces, keys
in the order of the record, and a newline at the end.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from keeper_injector_common.records.formats.interface import Format

if TYPE_CHECKING:
    from keeper_injector_common.records.formats.interface import RecordContent
    from keeper_injector_common.records.record import JsonValue


def _write_json(content: RecordContent) -> bytes:
    return (json.dumps(dict(content.fields), ensure_ascii=False, indent=2) + "\n").encode()


def _quote(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False)


FORMAT = Format("json", _write_json, "one object; structured values stay objects and lists", quote=_quote)
