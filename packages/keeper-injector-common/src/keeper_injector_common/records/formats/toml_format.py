"""``toml``: TOML 1.0, one ``key = value`` line for each field; structured values are inline tables and arrays.

A record with the fields login, address, phone and API key::

    login = "admin"
    address = { city = "Bern" }
    phone = ["555", "556"]
    "API key" = "k"

The standard library only reads TOML, and this writer is shorter than a dependency is worth. Keys are bare if possible and
otherwise quoted; text is a basic string on one line with control characters escaped. TOML has no null: a key without a
value is left out, and a null in an array is rejected. So is an integer beyond 64 bits, the range that TOML guarantees.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from keeper_injector_common.parsers import InvalidValue
from keeper_injector_common.patterns import pattern
from keeper_injector_common.records.formats.interface import Format, quoted

if TYPE_CHECKING:
    from keeper_injector_common.records.formats.interface import RecordContent
    from keeper_injector_common.records.record import JsonValue

_BARE_KEY = pattern(r"[A-Za-z0-9_-]+")
_INTEGERS = range(-(2**63), 2**63)


def _write_toml(content: RecordContent) -> bytes:
    lines = [
        f"{_key(name)} = {quoted(f'record {content.title!r}, field {name!r}', _quote, value)}\n"
        for name, value in content.fields.items()
        if value is not None
    ]
    return "".join(lines).encode()


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _string(name)


def _quote(value: JsonValue) -> str:
    match value:
        case str():
            return _string(value)
        case bool() | float():
            return json.dumps(value)
        case int():
            if value not in _INTEGERS:
                raise InvalidValue("the number exceeds the 64 bits that TOML guarantees", "use json")
            return str(value)
        case list():
            if None in value:
                raise InvalidValue("a list contains null, which TOML does not have", "use json or yaml")
            return f"[{', '.join(map(_quote, value))}]"
        case dict():
            pairs = [f"{_key(key)} = {_quote(item)}" for key, item in value.items() if item is not None]
            return f"{{ {', '.join(pairs)} }}" if pairs else "{}"
        case None:
            raise InvalidValue("the value is null, which TOML does not have", "use json or yaml")


def _string(text: str) -> str:
    # A JSON string is a valid basic string of TOML, except that JSON does not escape DEL.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")


FORMAT = Format("toml", _write_toml, "TOML 1.0; structured values as inline tables", quote=_quote)
