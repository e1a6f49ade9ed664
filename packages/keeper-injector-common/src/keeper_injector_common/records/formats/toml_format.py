"""TOML 1.0: one ``key = value`` line per field, structured values as inline tables and arrays in the record's order.

Written here and not by a library: the standard library only reads TOML, and this is shorter than what a dependency
costs. Keys are bare where they can be, else quoted; text is a basic string on one line, its control characters
escaped. TOML has no null: a key without a value is left out, an array with one is refused; so is a number beyond
the 64 bits that TOML guarantees.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from keeper_injector_common.errors import FormatError
from keeper_injector_common.records.formats.interface import Format

if TYPE_CHECKING:
    from keeper_injector_common.records.formats.interface import RecordContent
    from keeper_injector_common.records.record import JsonValue

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_INTEGERS = range(-(2**63), 2**63)


def _write_toml(content: RecordContent) -> bytes:
    """Write one line per field; raises FormatError for what TOML cannot hold."""
    lines = [
        f"{_key(name)} = {_value(f'record {content.title!r}, field {name!r}', value)}\n"
        for name, value in content.fields.items()
        if value is not None
    ]
    return "".join(lines).encode()


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _string(name)


def _value(where: str, value: JsonValue) -> str:
    match value:
        case str():
            return _string(value)
        case bool() | float():
            return json.dumps(value)
        case int():
            if value not in _INTEGERS:
                raise FormatError(f"{where}: the number is beyond 64 bits, which TOML does not guarantee; use json")
            return str(value)
        case list():
            return f"[{', '.join(_value(where, item) for item in value)}]"
        case dict():
            pairs = [f"{_key(key)} = {_value(where, item)}" for key, item in value.items() if item is not None]
            return f"{{ {', '.join(pairs)} }}" if pairs else "{}"
        case None:
            raise FormatError(f"{where}: a list has an empty element, and TOML has no null; use json or yaml")


def _string(text: str) -> str:
    """Write a basic string: JSON's escapes are TOML's too, but JSON lets DEL stand."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")


FORMAT = Format("toml", _write_toml, "TOML 1.0; structured values as inline tables", "toml")
