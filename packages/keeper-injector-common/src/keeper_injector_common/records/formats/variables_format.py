"""Variables: ``NAME=value`` entries, each ended by a NUL byte, for ``keeper-exec``.

The form of ``/proc/PID/environ``: a value may hold anything but NUL. Sizes are those that ``keeper-exec`` accepts,
so that a record too large is an error here, with the record's name, and not in the application's container.
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

ENTRY_BYTES = 128 * 1024
"""Linux: MAX_ARG_STRLEN, the NUL included."""
FILE_BYTES = 1024 * 1024
ENTRIES = 4096


def write_exec_variables(variables: Mapping[str, str]) -> bytes:
    """Write *variables* by their final names; raises FormatError that names the one that cannot be written."""
    written = b"".join(_entry(name, value) for name, value in variables.items())
    if len(written) > FILE_BYTES or len(variables) > ENTRIES:
        raise FormatError("variables: all together are over 1 MiB or 4096 in number; deliver large values as files")
    return written


def _write_variables(content: RecordContent) -> bytes:
    """Write a record's values under names made of its fields' names."""
    return write_exec_variables(to_variable_names(content.title, flatten(content)))


def _entry(name: str, value: str) -> bytes:
    check_variable_name(name)
    if "\0" in value:
        raise FormatError(f"variable {name}: no variable can hold a NUL character; deliver the value as a file")
    try:
        entry = f"{name}={value}\0".encode()
    except UnicodeEncodeError:
        raise FormatError(
            f"variable {name}: holds half a surrogate pair, which is no text; set it anew in Keeper"
        ) from None
    if len(entry) > ENTRY_BYTES:
        raise FormatError(f"variable {name}: is over 128 KiB, more than Linux passes on; deliver the value as a file")
    return entry


FORMAT = Format("variables", _write_variables, "NUL-ended NAME=value entries for keeper-exec", "")
