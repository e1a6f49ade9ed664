"""EnvFile: ``NAME='value'`` lines for the kubelet of Kubernetes 1.35 and later (``fileKeyRef``, KEP-3721).

Everything between the quotes stands for itself, line breaks too, and there are no escapes: a value with a single
quote cannot be written at all, nor one with a carriage return before a line break (the kubelet's reader drops it).
Both are errors that name the variable and the other way, ``env-mode: exec``. Kubernetes 1.34 read another syntax
and is not served.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keeper_injector_common.errors import FormatError
from keeper_injector_common.records.formats.flattening import flatten
from keeper_injector_common.records.formats.interface import Format
from keeper_injector_common.records.formats.variable_names import check_variable_name, to_variable_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keeper_injector_common.records.formats.interface import RecordContent

# KEP-3721, "Limits".
FILE_BYTES = 64 * 1024
NAME_CHARACTERS = 128
VALUE_BYTES = 32 * 1024
_OTHER_WAY = "set keeper.security/env-mode: exec"


def write_envfile(variables: Mapping[str, str]) -> bytes:
    """Write *variables* by their final names; raises FormatError that names the one that cannot be written."""
    written = b"".join(_line(name, value) for name, value in variables.items())
    if len(written) > FILE_BYTES:
        raise FormatError(f"variables: all together are over the 64 KiB that the kubelet reads; {_OTHER_WAY}")
    return written


def _write_envfile(content: RecordContent) -> bytes:
    """Write a record's values under names made of its fields' names."""
    return write_envfile(to_variable_names(content.title, flatten(content)))


def _line(name: str, value: str) -> bytes:
    check_variable_name(name)
    if "\0" in value:
        raise FormatError(f"variable {name}: no variable can hold a NUL character; deliver the value as a file")
    for unwritable, called in (("'", "a single quote"), ("\r\n", "a carriage return")):
        if unwritable in value:
            raise FormatError(f"variable {name}: the kubelet's file of variables cannot hold {called}; {_OTHER_WAY}")
    try:
        encoded = value.encode()
    except UnicodeEncodeError:
        raise FormatError(
            f"variable {name}: holds half a surrogate pair, which is no text; set it anew in Keeper"
        ) from None
    if len(encoded) > VALUE_BYTES or len(name) > NAME_CHARACTERS:
        raise FormatError(
            f"variable {name}: is over the 128 characters of name or 32 KiB of value of the kubelet; {_OTHER_WAY}"
        )
    return f"{name}='{value}'\n".encode()


FORMAT = Format("envfile", _write_envfile, "NAME='value' lines for the kubelet's EnvFiles", "")
