"""Env: ``NAME=value`` lines that docker's ``--env-file`` and the dotenv libraries read alike.

Docker takes everything after ``=`` as it stands, quotes included; dotenv libraries strip, unquote, expand
``$NAME``, undo backslashes and cut off at ``#``, and no two of them agree on all of it. So values stand bare, and
one on which readers could disagree is refused, with the name of a format that can hold it; no character ever
changes its meaning silently.

Names are upper case with ``_``; objects flatten to ``ADDRESS_CITY``, lists to ``PHONE_0``, ``PHONE_1``. Not for
``source``: that is what format ``shell`` is for.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from keeper_injector_common.errors import FormatError
from keeper_injector_common.records.formats.flattening import flatten
from keeper_injector_common.records.formats.interface import Format
from keeper_injector_common.records.formats.unquoted_values import AMBIGUOUS, check_unquoted
from keeper_injector_common.records.formats.variable_names import to_variable_names

if TYPE_CHECKING:
    from keeper_injector_common.records.formats.interface import RecordContent

LINE_BYTES = 64 * 1024
"""Docker reads lines with Go's bufio.Scanner, which gives up at this length."""
_FAULTS = AMBIGUOUS | {
    "a '#'": re.compile(r"#"),
    "a backslash": re.compile(r"\\"),
    "a '$' that begins a variable": re.compile(r"\$[A-Za-z0-9_{($]"),
}


def _write_env(content: RecordContent) -> bytes:
    """Write one line per value; raises FormatError where docker and dotenv could not agree on the meaning."""
    variables = to_variable_names(content.title, flatten(content))
    return b"".join(
        _line(f"record {content.title!r}, variable {name}", name, value) for name, value in variables.items()
    )


def _line(where: str, name: str, value: str) -> bytes:
    check_unquoted(where, value, _FAULTS, readers="docker and dotenv", instead="shell, json or yaml")
    line = f"{name}={value}\n".encode()
    if len(line) >= LINE_BYTES:
        raise FormatError(f"{where}: the value is longer than the 64 KiB that docker reads; use json or raw")
    return line


FORMAT = Format("env", _write_env, "NAME=value lines for docker and dotenv", "env")
