"""References as values."""

import pytest

from keeper_injector_common.references import is_uid


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("AAAAAAAAAAAAAAAAAAAAAA", True),
        ("Cd-7_8w3nTKyT0mEDgcbQg", True),
        ("production-db-password", False),
        ("AAAAAAAAAAAAAAAAAAAAA", False),
        ("AAAAAAAAAAAAAAAAAAAA+A", False),
        ("", False),
    ],
)
def test_a_uid_is_16_bytes_in_base64url(text: str, expected: bool) -> None:
    """A title of the same length is not a UID if it cannot be the encoding of 16 bytes."""
    assert is_uid(text) is expected
