"""SHA256SUMS, as ``sha256sum --check`` reads it, and its signature by an SSH key."""

from __future__ import annotations

import hashlib
from pathlib import Path

from artifacts.commits import run

SUMS = "SHA256SUMS"
NAMESPACE = "keeper-injector-release"
"""ssh-keygen ties a signature to a purpose, so that a signature of a commit by the same key does not count here."""


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_sums(folder: Path) -> None:
    """Write the digests of all other files of *folder* to SHA256SUMS."""
    files = sorted(path for path in folder.iterdir() if path.name not in {SUMS, f"{SUMS}.sig"})
    (folder / SUMS).write_text("".join(f"{sha256(path)}  {path.name}\n" for path in files), encoding="utf-8")


def sign_sums(folder: Path, key: Path) -> None:
    """Sign SHA256SUMS with the SSH key in the file *key* (or the public key of an agent's key) as SHA256SUMS.sig."""
    (folder / f"{SUMS}.sig").unlink(missing_ok=True)
    run("ssh-keygen", "-Y", "sign", "-q", "-f", str(key), "-n", NAMESPACE, str(folder / SUMS))
