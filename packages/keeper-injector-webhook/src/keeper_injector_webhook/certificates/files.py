"""Writes the serving key pair into a directory, in the layout in which the kubelet writes a Secret volume.

The server reads both files through the symbolic link ``..data``. Replacing that link replaces both files at once.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from keeper_injector_webhook.certificates.key_pair import KeyPair

_NAMES = ("tls.crt", "tls.key")


def publish(directory: Path, pair: KeyPair) -> bool:
    """Write *pair* into *directory* and return whether it replaced another one.

    Raises OSError if the directory cannot be written.
    """
    data = directory / "..data"
    contents = dict(zip(_NAMES, (pair.certificate, pair.key), strict=True))
    if data.exists() and all((data / name).read_bytes() == content for name, content in contents.items()):
        return False
    generation = directory / f"..{os.urandom(6).hex()}"
    generation.mkdir(0o700)
    for name, content in contents.items():
        descriptor = os.open(generation / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
        with open(descriptor, "wb") as stream:  # noqa: PTH123 - an open descriptor
            stream.write(content)
    old = data.resolve() if data.is_symlink() else None
    link = directory / "..data_tmp"
    link.unlink(missing_ok=True)
    link.symlink_to(generation.name)
    link.replace(data)
    for name in _NAMES:
        if not (directory / name).is_symlink():
            (directory / name).symlink_to(f"..data/{name}")
    if old is not None and old != generation:
        shutil.rmtree(old, ignore_errors=True)
    return True
