"""Ciphertexts that are kept from one answer to the next."""

from __future__ import annotations

import os
from collections.abc import Callable

import attrs

from local_keeper import crypto

Encrypt = Callable[[bytes, bytes], bytes]


@attrs.define
class Sealed:
    """The ciphertexts of one object, by the name of the part.

    Keeper stores what clients have encrypted and has no key to encrypt it again. So a part keeps its bytes until its key or its
    content changes, and bytes that a client has sent are answered unchanged.
    """

    _kept: dict[str, tuple[bytes, bytes, bytes]] = attrs.field(factory=dict, repr=False)

    def part(self, name: str, key: bytes, content: bytes, encrypt: Encrypt = crypto.gcm) -> bytes:
        """Return the ciphertext of a part; it is encrypted only if the key or the content is not the one of the kept bytes."""
        kept = self._kept.get(name)
        if kept is None or kept[:2] != (key, content):
            kept = self._kept[name] = (key, content, encrypt(key, content))
        return kept[2]

    def keep(self, name: str, key: bytes, content: bytes, ciphertext: bytes) -> None:
        """Keep a client's own ciphertext for a part."""
        self._kept[name] = (key, content, ciphertext)

    def garbage(self, name: str, length: int) -> bytes:
        """Return as many random bytes, the same each time, for a part that no key decrypts."""
        return self.part(name, b"", b"", lambda _key, _content: os.urandom(length))
