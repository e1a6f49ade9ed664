r"""``properties``: ``name=value`` lines for ``java.util.Properties``, loaded from a stream or a reader.

A record with the fields login, password (s3crét) and address::

    login=admin
    password=s3cr\u00E9t
    address.city=Bern

Escapes are those of the documentation of that class. Everything outside printable ASCII is written as ``\uXXXX`` in
UTF-16 units, so that it does not matter in which encoding a program opens the file. Names are kept; objects are flattened
to ``address.city``, lists to ``phone[0]``, which is how Spring binds them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from keeper_injector_common.patterns import pattern
from keeper_injector_common.records.formats.flattening import flatten, one_text
from keeper_injector_common.records.formats.interface import Format

if TYPE_CHECKING:
    from keeper_injector_common.records.formats.interface import RecordContent
    from keeper_injector_common.records.record import JsonValue

_SPECIAL = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\f": "\\f"}
_IN_KEY = pattern(r"[ =:#!]")


def _write_properties(content: RecordContent) -> bytes:
    values = flatten(content, _dotted)
    return "".join(f"{_key(name)}={_quote(value)}\n" for name, value in values.items()).encode("ascii")


def _dotted(name: str, part: str | int) -> str:
    return f"{name}[{part}]" if isinstance(part, int) else f"{name}.{part}"


def _key(name: str) -> str:
    return _IN_KEY.sub(r"\\\g<0>", _escaped(name))


def _quote(value: JsonValue) -> str:
    # A reader skips white space after the =, so only the first space needs an escape.
    return re.sub(r"\A ", r"\\ ", _escaped(one_text(value)))


def _escaped(text: str) -> str:
    return re.sub(r"[^ -\[\]-~]", lambda match: _SPECIAL.get(match[0]) or _unicode(match[0]), text)


def _unicode(character: str) -> str:
    units = character.encode("utf-16-be").hex().upper()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))


FORMAT = Format("properties", _write_properties, "java.util.Properties", quote=_quote)
