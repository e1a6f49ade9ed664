"""A CA of our own and the webhook's certificate: what to renew when, so that no handshake ever fails; pure.

A certificate is renewed at two thirds of its life, and so is the CA. A new CA is trusted a day before it signs anything, and
the old one until it expires, which is long after the last certificate that it signed.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import attrs
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_NAME = "keeper-injector-ca"
CA_LIFE = timedelta(days=3 * 365)
LEAF_LIFE = timedelta(days=90)
SETTLING = timedelta(days=1)
"""How long a new CA is trusted before it signs: every API server has seen it by then."""
BACKDATED = timedelta(hours=1)
"""For clocks that are a little behind ours."""


@attrs.frozen
class KeyPair:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes = attrs.field(repr=False)

    @property
    def parsed(self) -> x509.Certificate:
        """The certificate."""
        return x509.load_pem_x509_certificate(self.certificate)


@attrs.frozen
class Material:
    """Everything that replicas share: the CAs that are trusted, oldest first, and the certificate in use."""

    authorities: tuple[KeyPair, ...]
    leaf: KeyPair

    @property
    def bundle(self) -> bytes:
        """Every trusted CA, as ``caBundle`` has them."""
        return b"".join(authority.certificate for authority in self.authorities)


def renewed(material: Material | None, now: datetime, names: Sequence[str]) -> Material:
    """Return what should be in use at *now* for a server called *names*: *material* itself while it needs no change."""
    authorities = tuple(pair for pair in material.authorities if _is_valid(pair, now)) if material else ()
    if not authorities or _is_due(authorities[-1], now):
        authorities = (*authorities, _authority(now))
    leaf = material.leaf if material else None
    if leaf is None or not _serves(leaf, authorities, now, names):
        leaf = _leaf(_signer(authorities, now), now, names)
    result = Material(authorities, leaf)
    return material if material == result else result


def next_change(material: Material) -> datetime:
    """Return when :func:`renewed` will first give something else."""
    return min(_due(material.leaf), _due(material.authorities[-1]), _expiry(material.authorities[0]))


def _is_valid(pair: KeyPair, now: datetime) -> bool:
    return now < _expiry(pair)


def _expiry(pair: KeyPair) -> datetime:
    return pair.parsed.not_valid_after_utc


def _due(pair: KeyPair) -> datetime:
    certificate = pair.parsed
    return (
        certificate.not_valid_before_utc + (certificate.not_valid_after_utc - certificate.not_valid_before_utc) * 2 / 3
    )


def _is_due(pair: KeyPair, now: datetime) -> bool:
    return now >= _due(pair)


def _signer(authorities: Sequence[KeyPair], now: datetime) -> KeyPair:
    """Return the newest CA that is known everywhere; where there is no such, the oldest."""
    known = [pair for pair in authorities if pair.parsed.not_valid_before_utc + BACKDATED + SETTLING <= now]
    return known[-1] if known else authorities[0]


def _serves(leaf: KeyPair, authorities: Sequence[KeyPair], now: datetime, names: Sequence[str]) -> bool:
    """Say whether a certificate is still good: young enough, for these names, and signed by a CA that is trusted."""
    certificate = leaf.parsed
    if _is_due(leaf, now) or certificate.not_valid_before_utc > now:
        return False
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return found.get_values_for_type(x509.DNSName) == list(names) and any(
        certificate.issuer == authority.parsed.subject and _is_signed_by(certificate, authority)
        for authority in authorities
    )


def _is_signed_by(certificate: x509.Certificate, authority: KeyPair) -> bool:
    try:
        certificate.verify_directly_issued_by(authority.parsed)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _authority(now: datetime) -> KeyPair:
    key = ec.generate_private_key(ec.SECP256R1())
    # A name of its own, so that two of them in one bundle are told apart.
    name = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, f"{CA_NAME} {now:%Y-%m-%d} {x509.random_serial_number():x}"[:64])]
    )
    public = key.public_key()
    certificate = (
        _builder(name, name, public, now, CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _pair(certificate, key)


def _leaf(authority: KeyPair, now: datetime, names: Sequence[str]) -> KeyPair:
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = authority.parsed
    signing = load_pem_private_key(authority.key, password=None)
    if not isinstance(signing, ec.EllipticCurvePrivateKey):
        raise TypeError("a CA of ours has an EC key")
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    certificate = (
        _builder(subject, issuer.subject, key.public_key(), now, min(LEAF_LIFE, issuer.not_valid_after_utc - now))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(_issuer_id(issuer), critical=False)
        .sign(signing, hashes.SHA256())
    )
    return _pair(certificate, key)


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + life)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    nothing = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        **nothing,
    )


def _issuer_id(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    found = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(found)


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> KeyPair:
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return KeyPair(certificate.public_bytes(Encoding.PEM), private)


# As data of a Secret

_END = b"-----END "


def to_data(material: Material) -> dict[str, str]:
    """Return *material* as the ``data`` of a Secret."""
    parts = {
        "tls.crt": material.leaf.certificate,
        "tls.key": material.leaf.key,
        "ca.crt": material.bundle,
        "ca.key": b"".join(authority.key for authority in material.authorities),
    }
    return {name: base64.b64encode(content).decode() for name, content in parts.items()}


def from_data(data: Mapping[str, str]) -> Material | None:
    """Read what :func:`to_data` wrote; None for anything else, as an empty Secret is."""
    try:
        parts = {
            name: base64.b64decode(data[name], validate=True) for name in ("tls.crt", "tls.key", "ca.crt", "ca.key")
        }
        pairs = zip(blocks(parts["ca.crt"]), blocks(parts["ca.key"]), strict=True)
        material = Material(tuple(KeyPair(*pair) for pair in pairs), KeyPair(parts["tls.crt"], parts["tls.key"]))
        return material if material.authorities and all(map(_fits, (*material.authorities, material.leaf))) else None
    except (KeyError, ValueError, TypeError, binascii.Error):
        return None


def _fits(pair: KeyPair) -> bool:
    """Say whether key and certificate belong together."""
    return load_pem_private_key(pair.key, password=None).public_key() == pair.parsed.public_key()


def blocks(pem: bytes) -> list[bytes]:
    """Split PEM text into its blocks."""
    found, current = [], b""
    for line in pem.splitlines(keepends=True):
        current += line if line.endswith(b"\n") else line + b"\n"
        if line.startswith(_END):
            found.append(current)
            current = b""
    return found


def merged_bundle(present: bytes, material: Material, now: datetime) -> bytes:
    """Return *present*, a ``caBundle``, with the CAs of *material*, and without what has expired.

    What others put there stays, and so does a CA of ours whose Secret is lost: a replica may still serve by it.
    """
    kept = []
    for block in blocks(present):
        try:
            certificate = x509.load_pem_x509_certificate(block)
        except ValueError:
            continue
        if now < certificate.not_valid_after_utc and block not in kept:
            kept.append(block)
    return b"".join([*kept, *(pair.certificate for pair in material.authorities if pair.certificate not in kept)])
