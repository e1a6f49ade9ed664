"""The head: who signed it, for whom, and nothing that is not exactly of its form."""

from __future__ import annotations

import base64
import json

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from keeper_injector_agent.errors import PermanentVaultError
from keeper_injector_agent.snapshot.head import LARGEST_HEAD, Head, read_head
from keeper_injector_common.ksm_configuration import application_id

KEY = ec.derive_private_key(7, ec.SECP256R1())
HEAD = Head("a" * 64, "b" * 64, 1_800_000_000)


def test_a_signed_head_is_read() -> None:
    assert read_head(HEAD.signed_by(KEY), HEAD.application, KEY.public_key()) == HEAD


@given(st.integers(0, 400), st.integers(1, 255))
def test_every_changed_byte_is_noticed_or_means_the_same(position: int, change: int) -> None:
    content = bytearray(SIGNED)
    content[position % len(content)] ^= change
    try:
        found = read_head(bytes(content), HEAD.application, KEY.public_key())
    except PermanentVaultError:
        return
    assert found == HEAD  # such as a space between two tokens


SIGNED = HEAD.signed_by(KEY)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*json.loads(SIGNED)]), inner),
        max_leaves=8,
    )
)
def test_any_json(value: object) -> None:
    with pytest.raises(PermanentVaultError, match=r"not the head|not signed"):
        read_head(json.dumps(value).encode(), HEAD.application, KEY.public_key())


def test_a_signature_of_something_else() -> None:
    """The device also signs its requests to Keeper; no such text begins as the text of a head does."""
    signature = KEY.sign(SIGNED, ec.ECDSA(hashes.SHA256()))
    content = {**json.loads(SIGNED), "signature": base64.b64encode(signature).decode()}
    with pytest.raises(PermanentVaultError, match="not signed"):
        read_head(json.dumps(content).encode(), HEAD.application, KEY.public_key())


def test_a_long_answer_is_cut_off() -> None:
    with pytest.raises(PermanentVaultError, match="not the head"):
        read_head(SIGNED[:-1] + b" " * LARGEST_HEAD + b"}", HEAD.application, KEY.public_key())


@given(st.binary(min_size=32, max_size=32))
def test_the_application_is_named_by_hkdf(key: bytes) -> None:
    expected = HKDF(hashes.SHA256(), 32, None, b"keeper-injector relay application v1").derive(key)
    assert application_id(key) == expected.hex()
