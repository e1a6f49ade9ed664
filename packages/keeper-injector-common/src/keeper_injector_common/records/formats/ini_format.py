"""INI: one section ``[secret]`` of ``name=value`` lines that every reader of Python's configparser kind reads alike.

INI has no standard and no escapes. A value is refused, with the name of a format that can hold it, when it has a
line break or control character, white space at an end, a quote at its beginning, a ``;`` or ``#`` where a comment
could begin, or a ``%`` (which configparser interpolates by default, and takes as it is when told to).

Names keep their case, though configparser forgets it, so two that differ in case only are refused; characters that
mean something in INI become ``_``. Objects flatten to ``address_city``, lists to ``phone_0``, ``phone_1``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from keeper_injector_common.errors import FormatError
from keeper_injector_common.records.formats.flattening import flatten
from keeper_injector_common.records.formats.interface import Format
from keeper_injector_common.records.formats.unquoted_values import AMBIGUOUS, check_unquoted

if TYPE_CHECKING:
    from keeper_injector_common.records.formats.interface import RecordContent

_FAULTS = AMBIGUOUS | {
    "a ';' or '#' where a comment could begin": re.compile(r"(?:\A|\s)[;#]"),
    "a '%'": re.compile(r"%"),
}


def _write_ini(content: RecordContent) -> bytes:
    """Write one section; raises FormatError where readers of INI files could not agree on the meaning."""
    lines = ["[secret]\n"]
    origin: dict[str, str] = {}
    for field, value in flatten(content).items():
        name = _option(field)
        if name.lower() in origin:
            raise FormatError(
                f"record {content.title!r}: {origin[name.lower()]!r} and {field!r} are one name in an INI file; rename "
                "one in Keeper or use json"
            )
        origin[name.lower()] = field
        lines.append(f"{name}={_checked(f'record {content.title!r}, field {field!r}', value)}\n")
    return "".join(lines).encode()


def _option(field: str) -> str:
    return re.sub(r"[^\w .@/+-]", "_", field).strip() or "_"


def _checked(where: str, value: str) -> str:
    check_unquoted(where, value, _FAULTS, readers="programs that read INI files", instead="json, yaml or toml")
    return value


FORMAT = Format("ini", _write_ini, "one section [secret] of name=value lines", "ini")
