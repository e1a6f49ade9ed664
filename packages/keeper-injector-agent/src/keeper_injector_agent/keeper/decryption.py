"""Decrypts an attachment while it arrives, so that it is in memory once: encrypted and decrypted, it would be there three times.

Keeper encrypts with AES-256-GCM: 12 bytes of nonce, the encrypted content, and 16 bytes that authenticate both (NIST SP 800-38D).
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers import AEADDecryptionContext

_NONCE = 12
_TAG = 16


class StreamDecryption:
    """Collects the content of one encrypted message, block by block. Nobody sees it before it is authenticated."""

    def __init__(self, key: bytes) -> None:
        """Decrypt with *key*; raises ValueError if it does not have the length of a key."""
        self._key = AES(key)
        self._pending = b""
        """What arrived last: the nonce until it is complete, and then what may be the tag."""
        self._decryptor: AEADDecryptionContext | None = None
        self._content = io.BytesIO()

    def receive(self, block: bytes) -> None:
        """Decrypt the next block of the message."""
        self._pending += block
        if self._decryptor is None and len(self._pending) >= _NONCE:
            self._decryptor = Cipher(self._key, GCM(self._pending[:_NONCE])).decryptor()
            self._pending = self._pending[_NONCE:]
        ready = len(self._pending) - _TAG
        if self._decryptor is not None and ready > 0:
            self._content.write(self._decryptor.update(self._pending[:ready]))
            self._pending = self._pending[ready:]

    def finish(self) -> bytes:
        """Return the content after the last block; raises InvalidTag if the message is damaged, or encrypted with another key."""
        if self._decryptor is None or len(self._pending) != _TAG:
            raise InvalidTag
        self._decryptor.finalize_with_tag(self._pending)
        return self._content.getvalue()  # in CPython without a copy: nobody writes any more
