"""Writes files that other users read, and that appear as a whole or not at all; :mod:`.private_files` has those for their owner alone."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def replace_file(path: Path, content: bytes, mode: int) -> None:
    """Write *content* to *path* with *mode*, whatever the umask is, and replace the file that is there; raises OSError.

    One process at a time may call this for a path. Nothing is flushed to disk: these files are in memory volumes.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with open(descriptor, "wb") as stream:  # noqa: PTH123 - an open descriptor
        stream.write(content)
    temporary.chmod(mode)
    temporary.replace(path)
