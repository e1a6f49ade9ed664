r"""Properties: ``name=value`` lines as ``java.util.Properties`` reads them, from a stream or from a reader.

Escapes are those of that class's documentation; everything outside of printable ASCII is ``\uXXXX`` in UTF-16
units, so that the encoding in which a program opens the file does not matter. Names stay as they are; objects
flatten to ``address.city``, lists to ``phone[0]``, which is how Spring binds them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from keeper_injector_common.records.formats.flattening import flatten
from keeper_injector_common.records.formats.interface import Format

if TYPE_CHECKING:
    from keeper_injector_common.records.formats.interface import RecordContent

_SPECIAL = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\f": "\\f"}
_IN_KEY = re.compile(r"[ =:#!]")


def _write_properties(content: RecordContent) -> bytes:
    """Write one line per value."""
    values = flatten(content, _dotted)
    return "".join(f"{_key(name)}={_value(value)}\n" for name, value in values.items()).encode("ascii")


def _dotted(name: str, part: str | int) -> str:
    return f"{name}[{part}]" if isinstance(part, int) else f"{name}.{part}"


def _key(name: str) -> str:
    return _IN_KEY.sub(r"\\\g<0>", _escaped(name))


def _value(value: str) -> str:
    """Escape the first space only: a reader skips white space after the ``=``, and keeps all that follows."""
    return re.sub(r"\A ", r"\\ ", _escaped(value))


def _escaped(text: str) -> str:
    return re.sub(r"[^ -\[\]-~]", lambda match: _SPECIAL.get(match[0]) or _unicode(match[0]), text)


def _unicode(character: str) -> str:
    units = character.encode("utf-16-be").hex().upper()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))


FORMAT = Format("properties", _write_properties, "java.util.Properties", "properties")
