"""``ini``: one section ``[secret]`` of ``name=value`` lines, for Python's configparser and similar readers.

A record with the fields login, password and address::

    [secret]
    login=admin
    password=s3cret
    address_city=Bern

INI has no standard and no escapes. A value that readers would understand differently is rejected, and the message
recommends a format that can hold it: a line break or control character, leading or trailing white space, a leading quote,
a ``;`` or ``#`` where a comment could start, or a ``%`` (configparser interpolates it unless told otherwise).

The case of names is kept. configparser ignores it, so two names that differ only in case are rejected. Characters that are
special in INI become ``_``. Objects are flattened to ``address_city``, lists to ``phone_0``, ``phone_1``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from keeper_injector_common.errors import FormatError
from keeper_injector_common.parsers import InvalidValue
from keeper_injector_common.patterns import pattern
from keeper_injector_common.records.formats.flattening import flatten, one_text
from keeper_injector_common.records.formats.interface import Format, quoted
from keeper_injector_common.records.formats.unquoted_values import AMBIGUOUS, check_unquoted

if TYPE_CHECKING:
    from keeper_injector_common.records.formats.interface import RecordContent
    from keeper_injector_common.records.record import JsonValue

_AMBIGUOUS = AMBIGUOUS | {
    "a ';' or '#' where a comment could start": pattern(r"(?:\A|\s)[;#]"),
    "a '%'": pattern(r"%"),
}


def _write_ini(content: RecordContent) -> bytes:
    lines = ["[secret]\n"]
    origin: dict[str, str] = {}
    for field, value in flatten(content).items():
        name = _option(field)
        if _fold_name(name) in origin:
            raise FormatError(
                f"record {content.title!r}: {origin[_fold_name(name)]!r} and {field!r} are the same name in an INI file; rename "
                "one in Keeper or use json"
            )
        origin[_fold_name(name)] = field
        lines.append(f"{name}={quoted(f'record {content.title!r}, field {field!r}', _quote, value)}\n")
    return "".join(lines).encode()


def _option(field: str) -> str:
    return re.sub(r"[^\w .@/+-]", "_", field).strip() or "_"


def _quote(value: JsonValue) -> str:
    text = one_text(value)
    check_unquoted(text, _AMBIGUOUS, readers="INI parsers", alternatives="json, yaml or toml")
    return text


def _check_name(name: str) -> None:
    if _option(name) != name:
        raise InvalidValue(
            f"{name!r} is not a name that INI parsers accept", "write letters, digits, spaces and any of . _ @ / + -"
        )


def _fold_name(name: str) -> str:
    return name.lower()


FORMAT = Format(
    "ini",
    _write_ini,
    "one section [secret] of name=value lines",
    quote=_quote,
    check_name=_check_name,
    fold_name=_fold_name,
)
