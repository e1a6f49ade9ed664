"""Names of variables: from fields to ``UPPER_CASE``, without the ones that would take over a process."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from keeper_injector_common.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keeper_injector_common.record import JsonValue

PROTECTED = re.compile(
    r"(?:PATH|HOME|USER|SHELL|HOSTNAME|PWD|TERM|LANG|TZ|TMPDIR|IFS|ENV|BASH_ENV|SHELLOPTS|PS4|PROMPT_COMMAND"
    r"|LC_.*|LD_.*|DYLD_.*|GLIBC_TUNABLES|GCONV_PATH|MALLOC_.*|NLSPATH|LOCPATH|RES_OPTIONS|HOSTALIASES|LOCALDOMAIN"
    r"|PYTHON.*|NODE_OPTIONS|NODE_PATH|JAVA_TOOL_OPTIONS|_JAVA_OPTIONS|JDK_JAVA_OPTIONS|CLASSPATH|PERL5.*|RUBY.*|GEM_.*"
    r"|PHP_INI_SCAN_DIR|PHPRC|KUBERNETES_.*|HTTPS?_PROXY|ALL_PROXY|NO_PROXY|SSL_CERT_FILE|SSL_CERT_DIR)"
)
"""Variables that change what a process runs or whom it trusts: a field of a record never sets them by its name alone."""
NEVER = re.compile(r"LD_.*|GLIBC_TUNABLES")
"""Variables that the dynamic linker obeys: not even by an explicit ``env-<NAME>``."""


def variable_name(field: str) -> str:
    """Make a variable's name: upper case, other characters than letters and digits ``_``, no digit first."""
    name = re.sub(r"[^A-Z0-9]", "_", field.upper(), flags=re.ASCII)
    return f"_{name}" if name[:1].isdigit() or not name else name


def variable_names(title: str, values: Mapping[str, str]) -> dict[str, str]:
    """Rename *values* from field names to variables' names; raises FormatError when two become one."""
    renamed: dict[str, str] = {}
    origin: dict[str, str] = {}
    for field, value in values.items():
        name = variable_name(field)
        if name in renamed:
            raise FormatError(
                f"record {title!r}: fields {origin[name]!r} and {field!r} both become {name}; rename one or choose fields"
            )
        renamed[name], origin[name] = value, field
    return renamed


def flatten(fields: Mapping[str, JsonValue]) -> dict[str, str]:
    """Return text values only: an object's entries as ``name_key``, a list's as ``name_1``, ``name_2``…

    Numbers and booleans are written as in JSON, null as nothing.
    """
    flat: dict[str, str] = {}
    for name, value in fields.items():
        _flatten_into(flat, name, value)
    return flat


def _flatten_into(flat: dict[str, str], name: str, value: JsonValue) -> None:
    match value:
        case dict():
            for key, item in value.items():
                _flatten_into(flat, f"{name}_{key}", item)
        case list():
            for number, item in enumerate(value, 1):
                _flatten_into(flat, f"{name}_{number}", item)
        case str():
            flat[name] = value
        case None:
            flat[name] = ""
        case _:
            flat[name] = json.dumps(value)
