"""Env: ``NAME=value`` lines that docker's ``--env-file`` and dotenv libraries read alike."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from keeper_injector_common.errors import FormatError
from keeper_injector_common.formats.content import Format
from keeper_injector_common.formats.names import flatten, variable_names

if TYPE_CHECKING:
    from keeper_injector_common.formats.content import Content

_AMBIGUOUS = re.compile(r"[\s\"'`\\#$]|^$")
"""Docker keeps quotes, dotenv takes them away; dotenv ends a bare value at a hash and expands a dollar."""


def render(content: Content) -> bytes:
    """Write one line per value; raises FormatError where docker and dotenv could not agree on the meaning.

    A value is written bare. One with white space inside or with characters that dotenv treats and docker does not
    (``" ' ` \\ # $``) has no form that both read alike.
    """
    lines = []
    values = flatten(content.fields)
    for name, value in variable_names(content.title, values).items():
        if value and _AMBIGUOUS.search(value):
            raise FormatError(
                f"record {content.title!r}, variable {name}: docker and dotenv disagree on its quotes, spaces, '#', '$' "
                "or newlines; use format shell, json or yaml"
            )
        lines.append(f"{name}={value}\n")
    return "".join(lines).encode()


FORMAT = Format("env", render, "NAME=value lines for docker and dotenv")
