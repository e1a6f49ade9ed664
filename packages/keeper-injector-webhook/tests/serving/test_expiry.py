"""The date of expiry equals the one that the library `cryptography` reads."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper_injector_webhook.serving.expiry import not_after

KEYS = {
    "ec": ec.generate_private_key(ec.SECP256R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
    "rsa": rsa.generate_private_key(65537, 2048),
}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DATES = st.integers(-20 * 365 * 86400 + 86400, 8029 * 365 * 86400).map(
    lambda seconds: EPOCH + timedelta(seconds=seconds)
)


def certificate(kind: str, serial: int, name: str, expiry: datetime) -> bytes:
    """Return a certificate in PEM that its own key signed."""
    key = KEYS[kind]
    names = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(names)
        .issuer_name(names)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(expiry - timedelta(seconds=1))
        .not_valid_after(expiry)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("x" * 60) for _ in range(10)]), critical=False)
    )
    algorithm = None if kind == "ed25519" else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(Encoding.PEM)


@settings(deadline=None)
@given(
    st.sampled_from(sorted(KEYS)),
    st.integers(1, 2**159 - 1),
    st.text("abcÄ€", min_size=1, max_size=60),
    DATES,
    st.sampled_from([b"", b"a comment\n", b"-----BEGIN RSA PARAMETERS-----\nAAAA\n-----END RSA PARAMETERS-----\n"]),
)
def test_the_date_is_that_of_the_first_certificate(
    kind: str, serial: int, name: str, expiry: datetime, before: bytes
) -> None:
    """Whatever the key, the serial number, the issuer and the century, the date is right; the chain that follows has others."""
    pem = certificate(kind, serial, name, expiry)
    chain = before + pem + trustme.CA().cert_pem.bytes()
    assert not_after(chain) == expiry == x509.load_pem_x509_certificate(pem).not_valid_after_utc


@pytest.mark.parametrize("content", [b"", b"text", b"-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----"])
def test_anything_else_is_an_error(content: bytes) -> None:
    """What OpenSSL would not load either raises ValueError, as the caller expects it."""
    with pytest.raises(ValueError, match="not a certificate"):
        not_after(content)


def test_the_server_does_not_load_cryptography() -> None:
    """The library would take more memory than the caches of the webhook."""
    code = "import sys, keeper_injector_webhook.serving.server; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
