"""``env``: ``NAME=value`` lines that docker's ``--env-file`` and the dotenv libraries read alike.

A record with the fields login, password and address::

    LOGIN=admin
    PASSWORD=s3cret
    ADDRESS_STREET1=1 Main St
    ADDRESS_CITY=Bern

Docker takes everything after ``=`` literally, including quotes. The dotenv libraries strip white space, remove quotes,
expand ``$NAME``, process backslashes and cut at ``#``, and no two of them do all of this in the same way. Values are
therefore written without quotes, and a value on which readers could disagree is rejected; the message recommends a format
that can hold it. No character ever changes its meaning silently.

Names are upper case with ``_``; objects are flattened to ``ADDRESS_CITY``, lists to ``PHONE_0``, ``PHONE_1``. These files
are not for ``source``; format ``shell`` is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from keeper_injector_common.errors import FormatError
from keeper_injector_common.parsers import InvalidValue
from keeper_injector_common.patterns import pattern
from keeper_injector_common.records.formats.flattening import one_text
from keeper_injector_common.records.formats.interface import Format, quoted
from keeper_injector_common.records.formats.unquoted_values import AMBIGUOUS, check_unquoted
from keeper_injector_common.records.formats.variable_lines import refuse_loader_variable, variables_of

if TYPE_CHECKING:
    from keeper_injector_common.records.formats.interface import RecordContent
    from keeper_injector_common.records.record import JsonValue

_LINE_BYTES = 64 * 1024
"""Docker reads lines with Go's bufio.Scanner, which fails at this length."""
_NAME = pattern(r"[A-Za-z_][A-Za-z0-9_.]*", re.ASCII)
"""The names that docker and the dotenv libraries of Python, Node and Ruby accept."""
_AMBIGUOUS = AMBIGUOUS | {
    "a '#'": pattern(r"#"),
    "a backslash": pattern(r"\\"),
    "a '$' that starts a variable": pattern(r"\$[A-Za-z0-9_{($]"),
}


def _write_env(content: RecordContent) -> bytes:
    return b"".join(
        _line(f"record {content.title!r}, variable {name}", name, value)
        for name, value in variables_of(content).items()
    )


def _line(where: str, name: str, value: str) -> bytes:
    line = f"{name}={quoted(where, _quote, value)}\n".encode()
    if len(line) >= _LINE_BYTES:
        raise FormatError(f"{where}: the value is longer than the 64 KiB that docker reads; use json or raw")
    return line


def _quote(value: JsonValue) -> str:
    text = one_text(value)
    check_unquoted(text, _AMBIGUOUS, readers="docker and dotenv", alternatives="shell, json or yaml")
    return text


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidValue(
            f"{name!r} is not a name that docker and dotenv accept",
            "write letters, digits, '_' and '.', no digit first",
        )
    refuse_loader_variable(name)


FORMAT = Format("env", _write_env, "NAME=value lines for docker and dotenv", quote=_quote, check_name=_check_name)
