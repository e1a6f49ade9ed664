"""File formats: pure functions from a record's fields to bytes, registered by name.

Each format has a module ``NAME_format.py``. The other modules are what several formats share: ``interface`` has the type that every
format implements, ``flattening`` writes structured values as text, ``unquoted_values`` rejects values that cannot be written without
quotes, and ``variable_names`` checks the names of environment variables.

To add a format, write a module ``NAME_format.py`` with a constant ``FORMAT``, list it in :data:`FORMATS` below, and add its
name and suffix to ``keeper_injector_common.plan.delivery.FORMATS``. A test compares the two lists.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from keeper_injector_common.errors import FormatError
from keeper_injector_common.parsers import InvalidValue
from keeper_injector_common.records.formats import (
    dockerconfigjson_format,
    env_format,
    envfile_format,
    ini_format,
    json_format,
    pkcs12_format,
    properties_format,
    raw_format,
    shell_format,
    toml_format,
    variables_format,
    yaml_format,
)
from keeper_injector_common.records.formats.envfile_format import read_envfile, write_envfile
from keeper_injector_common.records.formats.flattening import flatten
from keeper_injector_common.records.formats.interface import Format, Quote, RecordContent, check_writable, digest_input
from keeper_injector_common.records.formats.variable_lines import variable_entries, variables_of
from keeper_injector_common.records.formats.variable_names import (
    is_forbidden_variable,
    is_protected_variable,
    to_variable_name,
)
from keeper_injector_common.records.formats.variables_format import read_exec_variables, write_exec_variables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        module.FORMAT.name: module.FORMAT
        for module in (
            json_format,
            env_format,
            properties_format,
            yaml_format,
            ini_format,
            raw_format,
            toml_format,
            shell_format,
            dockerconfigjson_format,
            pkcs12_format,
        )
    }
)
"""The formats that users can request with ``format:``, in the order of the documentation."""
VARIABLE_FORMATS: Mapping[str, Format] = MappingProxyType(
    {module.FORMAT.name: module.FORMAT for module in (variables_format, envfile_format)}
)
"""The formats in which environment variables are delivered; users cannot request them for files."""
ENVIRONMENT_WRITERS: Mapping[str, Callable[[Mapping[str, str]], bytes]] = MappingProxyType(
    {"exec": write_exec_variables, "file-ref": write_envfile}
)
"""How the variables of an environment are written, by its style in the plan."""
ENVIRONMENT_READERS: Mapping[str, Callable[[bytes], dict[str, str]]] = MappingProxyType(
    {"exec": read_exec_variables, "file-ref": read_envfile}
)
"""The same for reading what was written."""

__all__ = [
    "ENVIRONMENT_READERS",
    "ENVIRONMENT_WRITERS",
    "FORMATS",
    "VARIABLE_FORMATS",
    "Format",
    "Quote",
    "RecordContent",
    "digest_input",
    "flatten",
    "is_forbidden_variable",
    "is_protected_variable",
    "problems_of_keys",
    "read_envfile",
    "read_exec_variables",
    "to_variable_name",
    "variable_entries",
    "variables_of",
    "write_content",
    "write_envfile",
    "write_exec_variables",
]


def problems_of_keys(format_name: str, keys: Mapping[str, str]) -> Iterator[tuple[str, InvalidValue]]:
    """Yield each field of *keys* (field → name in the file) that the format cannot write under its name, and why."""
    chosen = FORMATS[format_name]
    field_of: dict[str, str] = {}
    for field, name in keys.items():
        if chosen.quote is None:
            having = ", ".join(other.name for other in FORMATS.values() if other.quote)
            yield (
                field,
                InvalidValue(f"files of format {format_name} have no names", f"write format: with one of {having}"),
            )
            return
        try:
            chosen.check_name(name)
        except InvalidValue as error:
            yield field, error
        other = field_of.setdefault(chosen.fold_name(name), field)
        if other != field:
            yield field, InvalidValue(f"{name!r} is the name of {other!r} too", "choose another name")


def write_content(format_name: str, content: RecordContent) -> bytes:
    """Return *content* in the format called *format_name*.

    Raises FormatError if the format is unknown or cannot represent a value. The message says which field is concerned and
    what to do, and never contains a value.
    """
    chosen = FORMATS.get(format_name) or VARIABLE_FORMATS.get(format_name)
    if chosen is None:
        raise FormatError(f"format {format_name!r}: is unknown to this version; use {', '.join(FORMATS)}")
    try:
        check_writable(content)
        return chosen.write(content)
    except RecursionError:
        raise FormatError(f"record {content.title!r}: a value is nested too deeply; deliver it by itself") from None
