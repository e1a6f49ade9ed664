"""Recognizes a Keeper that encrypts everything again in each answer, so that every poll would look like a change.

Keeper stores what clients have encrypted and has no key to encrypt it again, so its answers are the same until something changes. If that
ever differs, each poll of the relay would publish all records again, and each pod would fetch them. Therefore, if only ciphertexts differ
several times in a row, the relay goes by the outline of the answers instead: UIDs, revisions, folders and attachments.
"""

from __future__ import annotations

import attrs

POLLS = 3
"""Polls in a row in which only ciphertexts differ. A person who edits folders may cause one or two."""


@attrs.define
class Reencryption:
    """Compares each answer with the one before."""

    is_found: bool = False
    """Whether ciphertexts are ignored at present."""
    _records: str = ""
    _outline: str = ""
    _polls: int = 0

    def key(self, records: str, outline: str) -> str:
        """Return the digest by which a change is noticed: that of the *records*, or that of their *outline*."""
        if outline != self._outline:
            self._polls = 0
        elif records == self._records:
            self._polls, self.is_found = 0, False
        else:
            self._polls += 1
            self.is_found = self.is_found or self._polls >= POLLS
        self._records, self._outline = records, outline
        return outline if self.is_found else records
