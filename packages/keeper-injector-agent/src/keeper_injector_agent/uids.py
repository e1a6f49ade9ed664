"""What can be the UID of a Keeper record."""

from __future__ import annotations

_LENGTH = 22
_LAST = frozenset("AQgw")
_ALPHABET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def is_uid(text: str) -> bool:
    """Say whether *text* can be a UID: 16 bytes in unpadded base64url.

    22 characters hold 132 bits, so the last one has only two bits left to say: ``production-db-password`` has the length
    of a UID and is none.
    """
    return len(text) == _LENGTH and text[-1] in _LAST and set(text) <= _ALPHABET
