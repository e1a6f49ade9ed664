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
from keeper_injector_common.records.formats import bare
from keeper_injector_common.records.formats.content import Format
from keeper_injector_common.records.formats.flat import flatten
from keeper_injector_common.records.formats.names import variable_names

if TYPE_CHECKING:
    from keeper_injector_common.records.formats.content import Content

LINE_BYTES = 64 * 1024
"""Docker reads lines with Go's bufio.Scanner, which gives up at this length."""
_FAULTS = bare.FAULTS | {
    "a '#'": re.compile(r"#"),
    "a backslash": re.compile(r"\\"),
    "a '$' that begins a variable": re.compile(r"\$[A-Za-z0-9_{($]"),
}


def render(content: Content) -> bytes:
    """Write one line per value; raises FormatError where docker and dotenv could not agree on the meaning."""
    variables = variable_names(content.title, flatten(content))
    return b"".join(
        _line(f"record {content.title!r}, variable {name}", name, value) for name, value in variables.items()
    )


def _line(where: str, name: str, value: str) -> bytes:
    bare.check_bare(where, value, _FAULTS, readers="docker and dotenv", instead="shell, json or yaml")
    line = f"{name}={value}\n".encode()
    if len(line) >= LINE_BYTES:
        raise FormatError(f"{where}: the value is longer than the 64 KiB that docker reads; use json or raw")
    return line


FORMAT = Format("env", render, "NAME=value lines for docker and dotenv", "env")
