r"""``shell``: ``export NAME='value'`` lines to source in any POSIX shell.

A record with the fields login and password (it's)::

    export LOGIN='admin'
    export PASSWORD='it'\''s'

Values are in single quotes, inside which no character is special to a shell (POSIX.1-2017, XCU 2.2.2); a single quote
becomes ``'\''``. Line breaks are kept. NUL is rejected, because no shell variable can hold it.

Names are upper case with ``_``; objects are flattened to ``ADDRESS_CITY``, lists to ``PHONE_0``, ``PHONE_1``. Names that
would take over the shell (``PATH``, ``IFS``, ``BASH_ENV`` …) are rejected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keeper_injector_common.parsers import InvalidValue, variable_name
from keeper_injector_common.records.formats.flattening import one_text
from keeper_injector_common.records.formats.interface import Format, quoted
from keeper_injector_common.records.formats.variable_lines import refuse_loader_variable, variables_of

if TYPE_CHECKING:
    from keeper_injector_common.records.formats.interface import RecordContent
    from keeper_injector_common.records.record import JsonValue


def _write_shell(content: RecordContent) -> bytes:
    lines = [
        f"export {name}={quoted(f'record {content.title!r}, variable {name}', _quote, value)}\n"
        for name, value in variables_of(content).items()
    ]
    return "".join(lines).encode()


def _quote(value: JsonValue) -> str:
    text = one_text(value)
    if "\0" in text:
        raise InvalidValue("the value has a NUL character, which no shell variable can hold", "use json or raw")
    return "'" + text.replace("'", "'\\''") + "'"


def _check_name(name: str) -> None:
    refuse_loader_variable(variable_name(name))


FORMAT = Format(
    "shell", _write_shell, "export NAME='value' lines, safe to source", quote=_quote, check_name=_check_name
)
