"""Decryption while a message arrives: the same result as at once, and never a content that is not authenticated."""

from __future__ import annotations

import os

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from keeper_injector_agent.keeper.decryption import StreamDecryption

KEY = b"k" * 32


def encrypted(content: bytes) -> bytes:
    """Return *content* as Keeper encrypts it."""
    nonce = os.urandom(12)
    return nonce + AESGCM(KEY).encrypt(nonce, content, None)


def decrypted(blocks: list[bytes], key: bytes = KEY) -> bytes:
    """Return the content of a message that arrives in *blocks*."""
    decryption = StreamDecryption(key)
    for block in blocks:
        decryption.receive(block)
    return decryption.finish()


@given(st.binary(max_size=200), st.lists(st.integers(1, 40), max_size=20))
def test_the_blocks_do_not_matter(content: bytes, sizes: list[int]) -> None:
    """Any message in blocks of any sizes, also within nonce and tag, has its content."""
    message, blocks = encrypted(content), []
    for size in sizes:
        blocks.append(message[:size])
        message = message[size:]
    assert decrypted([*blocks, message]) == content


@given(st.binary(max_size=100), st.integers(0, 127), st.integers(1, 255))
def test_a_damaged_message_has_no_content(content: bytes, position: int, change: int) -> None:
    """One changed byte anywhere is found at the end."""
    message = bytearray(encrypted(content))
    message[position % len(message)] ^= change
    with pytest.raises(InvalidTag):
        decrypted([bytes(message)])


@given(st.binary(max_size=50), st.integers(0, 77))
def test_a_message_that_was_cut_off_has_no_content(content: bytes, length: int) -> None:
    """A message without its end is not taken for a shorter one."""
    message = encrypted(content)
    with pytest.raises(InvalidTag):
        decrypted([message[: length % len(message)]])


def test_another_key_is_found() -> None:
    """A key of another file fails, and one of another length is an error at once."""
    with pytest.raises(InvalidTag):
        decrypted([encrypted(b"content")], b"x" * 32)
    with pytest.raises(ValueError, match="key size"):
        StreamDecryption(b"short")
