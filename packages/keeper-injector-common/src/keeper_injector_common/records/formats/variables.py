"""Variables: ``NAME=value`` entries, each ended by a NUL byte, for ``keeper-exec``.

The form of ``/proc/PID/environ``: a value may hold anything but NUL. Sizes are those that ``keeper-exec`` accepts,
so that a record too large is an error here, with the record's name, and not in the application's container.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from keeper_injector_common.errors import FormatError
from keeper_injector_common.records.formats.content import Format
from keeper_injector_common.records.formats.flat import flatten
from keeper_injector_common.records.formats.names import is_never, variable_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keeper_injector_common.records.formats.content import Content

ENTRY_BYTES = 128 * 1024
"""Linux: MAX_ARG_STRLEN, the NUL included."""
FILE_BYTES = 1024 * 1024
ENTRIES = 4096
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def write(variables: Mapping[str, str]) -> bytes:
    """Write *variables* by their final names; raises FormatError that names the one that cannot be written."""
    written = b"".join(_entry(name, value) for name, value in variables.items())
    if len(written) > FILE_BYTES or len(variables) > ENTRIES:
        raise FormatError("variables: all together are over 1 MiB or 4096 in number; deliver large values as files")
    return written


def render(content: Content) -> bytes:
    """Write a record's values under names made of its fields' names."""
    return write(variable_names(content.title, flatten(content)))


def _entry(name: str, value: str) -> bytes:
    check_name(name)
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


def check_name(name: str) -> None:
    """Raise FormatError unless *name* can and may be a variable's."""
    if not _NAME.fullmatch(name):
        raise FormatError(f"variable {name!r}: is no name of a variable; write letters, digits and '_', no digit first")
    if is_never(name):
        raise FormatError(
            f"variable {name}: steers the loader of programs, and no secret may set it; choose another name"
        )


FORMAT = Format("variables", render, "NUL-ended NAME=value entries for keeper-exec", "")
