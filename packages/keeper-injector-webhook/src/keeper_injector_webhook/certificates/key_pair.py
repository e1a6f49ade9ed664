"""A certificate with its private key, and how both are read."""

from __future__ import annotations

import attrs
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.ExtensionNotFound,
    x509.UnsupportedGeneralNameType,
)
"""What *cryptography* raises for certificates and keys that are damaged, or of a kind that it does not support."""


@attrs.frozen
class KeyPair:
    """A certificate and its private key, both as PEM."""

    certificate: bytes
    key: bytes = attrs.field(repr=False)

    @property
    def parsed(self) -> x509.Certificate:
        """The certificate, parsed from PEM."""
        return x509.load_pem_x509_certificate(self.certificate)


def key_pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> KeyPair:
    """Return a certificate and its private key as PEM."""
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return KeyPair(certificate.public_bytes(Encoding.PEM), private)


def read_key_pair(certificate: bytes, key: bytes) -> KeyPair:
    """Return a key pair in our own encoding. Raises one of :data:`UNREADABLE` unless its keys match and are of our kind."""
    parsed, private = x509.load_pem_x509_certificate(certificate), elliptic_key(key)
    if private.public_key() != parsed.public_key():
        raise ValueError("the private key does not belong to the certificate")
    return key_pair(parsed, private)


def elliptic_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """Return a private key with the curve P-256; raises one of :data:`UNREADABLE`."""
    key = load_pem_private_key(pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise TypeError("the key is not an EC key with the curve P-256")
    return key
