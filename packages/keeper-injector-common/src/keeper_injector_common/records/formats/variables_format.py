"""``variables``: ``NAME=value`` entries, each followed by a NUL byte, for the agent's program ``keeper-exec``.

A record with the fields login and password (``␀`` is the NUL byte)::

    LOGIN=admin␀PASSWORD=s3cret␀

This is the format of ``/proc/PID/environ`` (proc(5)); a value may contain anything except NUL. The size limits are those of
``keeper-exec``, so that a record that is too large is reported here, with its name, and not when the application starts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keeper_injector_common.errors import FormatError
from keeper_injector_common.records.formats.interface import Format
from keeper_injector_common.records.formats.variable_lines import variables_of
from keeper_injector_common.records.formats.variable_names import check_variable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keeper_injector_common.records.formats.interface import RecordContent

_ENTRY_BYTES = 128 * 1024
"""Linux: MAX_ARG_STRLEN, including the NUL."""
_FILE_BYTES = 1024 * 1024
_ENTRIES = 4096


def write_exec_variables(variables: Mapping[str, str]) -> bytes:
    """Return *variables*, by their final names, as a file for ``keeper-exec``.

    Raises FormatError, with the variable's name, if a name or a value cannot be written or a size limit is exceeded.
    """
    written = b"".join(_entry(name, value) for name, value in variables.items())
    if len(written) > _FILE_BYTES or len(variables) > _ENTRIES:
        raise FormatError("variables: more than 4096 variables or 1 MiB in total; deliver large values as files")
    return written


def read_exec_variables(content: bytes) -> dict[str, str]:
    """Return the variables that :func:`write_exec_variables` has written."""
    entries = content.decode().split("\0")[:-1]
    return {name: value for name, _, value in (entry.partition("=") for entry in entries)}


def _write_variables(content: RecordContent) -> bytes:
    return write_exec_variables(variables_of(content))


def _entry(name: str, value: str) -> bytes:
    check_variable(name, value)
    entry = f"{name}={value}\0".encode()
    if len(entry) > _ENTRY_BYTES:
        raise FormatError(
            f"variable {name}: is over 128 KiB, the limit of Linux for one variable; deliver the value as a file"
        )
    return entry


FORMAT = Format("variables", _write_variables, "NUL-terminated NAME=value entries for keeper-exec")
