"""The directory of one application that a web server serves: parts first, the head last, and old parts for a while.

A reader that has fetched a head fetches what it refers to during the next seconds, so a part that no head refers to any more
stays for :data:`RETENTION`. Everything is written to a temporary file and moved into place.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from keeper_injector_agent.snapshot.content import Part, Snapshot
from keeper_injector_agent.snapshot.names import HEAD_NAME, attachment_name, index_name, record_name
from keeper_injector_agent.whole_files import replace_file

RETENTION = 600.0
"""Seconds for which a part stays after the last head that referred to it."""
READABLE = 0o644
"""The web server is another user. Everything in these files is encrypted."""


class Publication:
    """Writes the snapshots of one application."""

    def __init__(self, directory: Path) -> None:
        """Publish in *directory*, which is created. Files from an earlier process stay until the first new snapshot."""
        self._directory = directory
        for name in ("r", "f"):
            (directory / name).mkdir(parents=True, exist_ok=True)
        now = time.monotonic()
        self._referred = {str(path.relative_to(directory)): now for path in directory.rglob("*") if path.is_file()}
        """When each file was last referred to by a head (:func:`time.monotonic`)."""
        self._current = set(self._referred)

    def head(self) -> bytes | None:
        """Return the head that is published, if any."""
        try:
            return (self._directory / HEAD_NAME).read_bytes()
        except FileNotFoundError:
            return None

    def add_attachment(self, part: Part) -> str:
        """Write an encrypted attachment, which the next snapshot refers to; return its digest. Raises OSError."""
        digest = part.digest
        self._write_part(attachment_name(digest), part.content)
        return digest

    def add_snapshot(self, snapshot: Snapshot, blobs: Iterable[str]) -> int:
        """Write the parts of *snapshot*, which the next head refers to; return how many are new. Raises OSError.

        *blobs* are the digests of its attachments.
        """
        contents: Mapping[str, bytes] = {
            **{record_name(digest): part.content for digest, part in snapshot.records.items()},
            index_name(snapshot.index.digest): snapshot.index.content,
        }
        new = sum(self._write_part(name, content) for name, content in contents.items())
        self._current = {*contents, *map(attachment_name, blobs), HEAD_NAME}
        return new

    def announce(self, head: bytes) -> None:
        """Replace the *head*, and remove what no head has referred to for a while. Raises OSError."""
        self._write(HEAD_NAME, head)
        now = time.monotonic()
        for name in self._current & self._referred.keys():
            self._referred[name] = now
        for name in [name for name, last in self._referred.items() if now - last > RETENTION]:
            (self._directory / name).unlink(missing_ok=True)
            del self._referred[name]

    def size(self) -> int:
        """Return the bytes of all files, those of earlier snapshots too."""
        return sum((self._directory / name).stat().st_size for name in self._referred)

    def _write_part(self, name: str, content: bytes) -> bool:
        """Write a part unless it is there; return whether it was new."""
        is_new = name not in self._referred
        if is_new:
            self._write(name, content)
        self._referred[name] = time.monotonic()
        return is_new

    def _write(self, name: str, content: bytes) -> None:
        replace_file(self._directory / name, content, READABLE)
        self._referred[name] = time.monotonic()
