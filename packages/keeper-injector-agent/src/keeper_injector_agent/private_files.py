"""Writes files that only their owner can read (mode 0600) and that appear as a whole or not at all.

Both functions write a temporary file beside the target, flush it to disk, and then move it into place, so that a process
that is killed at any point leaves either the previous file or the new one. They raise :class:`OSError`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_PRIVATE = 0o600


def replace_private_file(path: Path, text: str) -> None:
    """Write *text* to *path* and replace the file that is there, if any. One process at a time may call this for a path."""
    temporary = path.with_name(f".{path.name}.tmp")
    _write_private(temporary, os.O_TRUNC, text)
    temporary.replace(path)


def create_private_file(path: Path, text: str) -> None:
    """Write *text* to *path*, which must not exist yet: raises :class:`FileExistsError` and leaves that file untouched."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    _write_private(temporary, os.O_EXCL, text)
    try:
        os.link(temporary, path)  # unlike a rename, a link never replaces a file
    finally:
        temporary.unlink()


def _write_private(path: Path, flag: int, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | flag, _PRIVATE)
    with open(descriptor, "w", encoding="utf-8") as stream:  # noqa: PTH123 - an open descriptor
        stream.write(text)
        stream.flush()
        os.fsync(descriptor)
