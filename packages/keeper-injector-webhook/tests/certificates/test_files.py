"""The key pair on disk."""

from __future__ import annotations

from pathlib import Path

from keeper_injector_webhook.certificates.files import publish
from keeper_injector_webhook.certificates.key_pair import KeyPair


def test_a_key_pair_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """Both files change at once through one link; the same pair is not written again, and old files are removed."""
    first, second = KeyPair(b"certificate 1", b"key 1"), KeyPair(b"certificate 2", b"key 2")
    assert publish(tmp_path, first)
    assert not publish(tmp_path, first)
    assert publish(tmp_path, second)
    assert ((tmp_path / "tls.crt").read_bytes(), (tmp_path / "tls.key").read_bytes()) == (
        second.certificate,
        second.key,
    )
    assert (tmp_path / "tls.key").stat().st_mode & 0o777 == 0o400
    assert len(list(tmp_path.iterdir())) == 4
