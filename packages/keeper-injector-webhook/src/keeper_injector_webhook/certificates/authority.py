"""The webhook's CA and serving certificate: what they are, when each is renewed, and how they are signed; pure.

Theory of operation
-------------------

All replicas share one *material*: the CAs that API servers trust, oldest first, and one serving certificate (the *leaf*) with its
key. It is stored in one Secret; the CAs are also in the ``caBundle`` of the webhook configuration, which is what API servers
verify the leaf against. The goal is that no handshake fails, whatever order replicas and API servers learn of a change in.

A CA passes through four states, and time alone moves it from one to the next. With a life of three years::

    day 0          day 1                      day 730                        day 1095
    |  settling    |  signing                 |  retiring                    |  expired
    |  trusted,    |  the newest settled CA   |  a new CA exists; this one   |  removed from the Secret
    |  signs       |  signs every new leaf    |  signs until that one has    |  and from the caBundle
    |  nothing     |                          |  settled, then is trusted    |

- *Settling* exists because a CA must be in every API server's ``caBundle`` before a leaf that it signed is presented. Only a CA
  without a predecessor signs at once, because the webhook cannot serve without a leaf; step 3 below covers that case.
- *Retiring* overlaps with the next CA for a year, while a leaf lives 90 days at most. So every leaf that the old CA signed is
  replaced long before the old CA expires, and the bundle holds two CAs for that year.
- A leaf is renewed at two thirds of its life (60 days), when the Service's names change, or when the CA that signed it is missing.

Each replica runs :mod:`.reconcile` at start, at least once an hour and when :func:`next_change` says so:

1. It reads the Secret and calls :func:`renew_if_due`. If that returns something else, it writes the Secret with the
   ``resourceVersion`` that it read. If another replica was first, it reads again and uses what it finds.
2. It merges the CAs into the ``caBundle`` (:func:`.stored.merge_bundle`). CAs are only added, and removed once expired, so that a
   replica that still serves an older leaf stays trusted.
3. It waits until API servers have seen a changed ``caBundle``, and only then writes the leaf to the server's directory.

If the Secret is lost or damaged, the first replica to notice starts over with a new CA; the old one stays in the ``caBundle`` until
it expires. *Damaged* is everything that :func:`renew_if_due` could not have written: a key of another kind, a CA that may not sign,
a leaf without names. A CA that is not valid yet was written by a replica whose clock is ahead, and is dropped like an expired one.
If the API server is unavailable, the renewal is retried, and a third of the certificate's life is left for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from keeper_injector_webhook.certificates.key_pair import UNREADABLE, KeyPair, elliptic_key, key_pair

_CA_NAME = "keeper-injector-ca"
CA_LIFE = timedelta(days=3 * 365)
_LEAF_LIFE = timedelta(days=90)
_SETTLING = timedelta(days=1)
"""How long a new CA is trusted before it signs. Every API server has read the new ``caBundle`` by then."""
BACKDATED = timedelta(hours=1)
"""How far ``notBefore`` is in the past, for API servers whose clock is behind."""


@attrs.frozen
class Material:
    """What all replicas share: the trusted CAs, oldest first, and the serving certificate."""

    authorities: tuple[KeyPair, ...]
    leaf: KeyPair

    @property
    def bundle(self) -> bytes:
        """The certificates of all trusted CAs, as PEM for ``caBundle``."""
        return b"".join(authority.certificate for authority in self.authorities)


def renew_if_due(material: Material | None, now: datetime, names: Sequence[str]) -> Material:
    """Return the material to use at *now* for a server with the DNS *names*: *material* itself if nothing is due.

    Without *material*, return a new CA and a leaf that it signed; also if none of its CAs can sign a leaf that API servers accept.
    """
    authorities = tuple(pair for pair in material.authorities if _is_valid(pair, now)) if material else ()
    if not authorities or _is_due(authorities[-1], now):
        authorities = (*authorities, _authority(now))
    leaf = material.leaf if material else None
    if leaf is None or not _serves(leaf, authorities, now, names):
        leaf = _leaf(_signer(authorities, now), now, names)
        if not _serves(leaf, authorities, now, names):  # a CA with constraints that exclude these names, for example
            authorities = (_authority(now),)
            leaf = _leaf(authorities[0], now, names)
    result = Material(authorities, leaf)
    return material if material == result else result


def next_change(material: Material) -> datetime:
    """Return the time from which :func:`renew_if_due` returns something other than *material*."""
    return min(_due(material.leaf), _due(material.authorities[-1]), _expiry(material.authorities[0]))


def _is_valid(pair: KeyPair, now: datetime) -> bool:
    return pair.parsed.not_valid_before_utc <= now < _expiry(pair)


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
    """Return the newest CA that has settled. If none has, return the oldest, which API servers have trusted for longest.

    CAs that would expire before a leaf are not considered, unless there are no others.
    """
    lasting = [pair for pair in authorities if _expiry(pair) - now >= _LEAF_LIFE] or authorities[-1:]
    settled = [pair for pair in lasting if pair.parsed.not_valid_before_utc + BACKDATED + _SETTLING <= now]
    return settled[-1] if settled else lasting[0]


def _serves(leaf: KeyPair, authorities: Sequence[KeyPair], now: datetime, names: Sequence[str]) -> bool:
    """Return whether the leaf can still be used: not due, for exactly these names, and accepted by who trusts the CAs."""
    certificate = leaf.parsed
    if _is_due(leaf, now):
        return False
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    if found.get_values_for_type(x509.DNSName) != list(names):
        return False
    trusted = Store([authority.parsed for authority in authorities])
    try:
        verifier = PolicyBuilder().store(trusted).time(now).build_server_verifier(x509.DNSName(names[0]))
        verifier.verify(certificate, [])
    except (VerificationError, *UNREADABLE):
        return False
    return True


def _authority(now: datetime) -> KeyPair:
    key = ec.generate_private_key(ec.SECP256R1())
    # A unique name, so that verifiers can tell two CAs in one bundle apart.
    name = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, f"{_CA_NAME} {now:%Y-%m-%d} {x509.random_serial_number():x}"[:64])]
    )
    public = key.public_key()
    certificate = (
        _builder(name, name, public, now - BACKDATED, now + CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )
    return key_pair(certificate, key)


def _leaf(authority: KeyPair, now: datetime, names: Sequence[str]) -> KeyPair:
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = authority.parsed
    signing = elliptic_key(authority.key)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    certificate = (
        _builder(
            subject,
            issuer.subject,
            key.public_key(),
            max(now - BACKDATED, issuer.not_valid_before_utc),
            min(now + _LEAF_LIFE, issuer.not_valid_after_utc),
        )
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(_issuer_id(issuer), critical=False)
        .sign(signing, hashes.SHA256())
    )
    return key_pair(certificate, key)


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
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
