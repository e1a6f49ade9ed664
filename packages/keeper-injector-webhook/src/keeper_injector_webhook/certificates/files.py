"""The serving pair as files in a directory that changes as a whole, laid out as the kubelet lays out a Secret's volume."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from keeper_injector_webhook.certificates.authority import KeyPair

NAMES = ("tls.crt", "tls.key")


def publish(directory: Path, pair: KeyPair) -> bool:
    """Put *pair* into *directory* for the server to find; says whether it was another one. Raises OSError."""
    data = directory / "..data"
    contents = dict(zip(NAMES, (pair.certificate, pair.key), strict=True))
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
    for name in NAMES:
        if not (directory / name).is_symlink():
            (directory / name).symlink_to(f"..data/{name}")
    if old is not None and old != generation:
        shutil.rmtree(old, ignore_errors=True)
    return True
