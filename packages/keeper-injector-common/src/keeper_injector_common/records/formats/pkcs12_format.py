"""``pkcs12``: a PKCS #12 key store for Java and others, made from the PEM texts in a record's fields and attachments.

The record needs one private key, its certificate and the field ``password``; issuing certificates are added as a chain. It
does not matter which field or attachment holds which PEM::

    password    s3cret
    keyPair     -----BEGIN PRIVATE KEY----- …
    server.pem  -----BEGIN CERTIFICATE----- …        (attachment)

The password encrypts the store, and decrypts the private key if that is encrypted. It is required and must be printable
ASCII: Java finds no key in a store without a password and accepts no other characters in one. The alias is the title of the
record. The encryption is PBES2 with AES-256 and SHA-256, which Java 8u301 and 11.0.12, OpenSSL 1.1.1 and later versions can read.

Salts are random, so that equal content gives different bytes: ``FORMAT.repeatable`` is false, and changes are detected with
:func:`~keeper_injector_common.records.formats.digest_input`. Needs ``cryptography``, the extra ``pkcs12`` of this package.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from keeper_injector_common.errors import FormatError
from keeper_injector_common.patterns import pattern
from keeper_injector_common.records.formats.flattening import flatten
from keeper_injector_common.records.formats.interface import Format

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cryptography.hazmat.primitives.serialization.pkcs12 import PKCS12PrivateKeyTypes
    from cryptography.x509 import Certificate

    from keeper_injector_common.records.formats.interface import RecordContent

_PEM = pattern(rb"-----BEGIN ([A-Z0-9 ]+)-----\s.*?-----END \1-----", re.DOTALL)
_CERTIFICATES = frozenset({b"CERTIFICATE", b"X509 CERTIFICATE"})
_PASSWORD = "password"  # noqa: S105 - the name of a field


def _write_pkcs12(content: RecordContent) -> bytes:
    try:
        # Imported here because it is an optional dependency that takes 20 MB of memory.
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.serialization import pkcs12
    except ImportError:
        raise FormatError(
            f"record {content.title!r}: pkcs12 needs the library cryptography; install keeper-injector-common[pkcs12]"
        ) from None
    password = _password(content)
    key = _private_key(content, password)
    certificate, *chain = _chain(content, key)
    encryption = serialization.BestAvailableEncryption(password)
    return pkcs12.serialize_key_and_certificates(content.title.encode(), key, certificate, chain, encryption)


def _password(content: RecordContent) -> bytes:
    password = content.fields.get(_PASSWORD)
    if not isinstance(password, str) or not password:
        raise FormatError(
            f"record {content.title!r}: the field password is missing, and Java needs it; add it in Keeper"
        )
    if not re.fullmatch("[ -~]+", password):
        raise FormatError(
            f"record {content.title!r}: the password has characters that Java does not accept; use printable ASCII"
        )
    return password.encode()


def _blocks(content: RecordContent) -> Iterator[tuple[bytes, bytes]]:
    """Yield the label and text of each PEM block once; the same key is often both in a field and in an attachment."""
    texts = [*(text.encode() for text in flatten(content).values()), *content.files.values()]
    seen = set()
    for text in texts:
        for match in _PEM.finditer(text.replace(b"\r\n", b"\n")):
            if match[0] not in seen:
                seen.add(match[0])
                yield match[1], match[0] + b"\n"


def _private_key(content: RecordContent, password: bytes) -> PKCS12PrivateKeyTypes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    where = f"record {content.title!r}"
    keys = [pem for label, pem in _blocks(content) if label.endswith(b"PRIVATE KEY")]
    if len(keys) != 1:
        raise FormatError(
            f"{where}: has {len(keys)} PEM private keys in its fields and files; pkcs12 needs exactly one"
        )
    encrypted = b"ENCRYPTED" in keys[0]
    try:
        key = serialization.load_pem_private_key(keys[0], password if encrypted else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        fault = "cannot be decrypted with the field password" if encrypted else "cannot be read"
        raise FormatError(f"{where}: the private key {fault}; attach an unencrypted PKCS #8 PEM") from None
    return _supported(where, key)


def _supported(where: str, key: object) -> PKCS12PrivateKeyTypes:
    from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa

    if isinstance(
        key,
        rsa.RSAPrivateKey
        | ec.EllipticCurvePrivateKey
        | ed25519.Ed25519PrivateKey
        | ed448.Ed448PrivateKey
        | dsa.DSAPrivateKey,
    ):
        return key
    raise FormatError(f"{where}: the private key has an unsupported type; use RSA, EC or Ed25519")


def _chain(content: RecordContent, key: PKCS12PrivateKeyTypes) -> list[Certificate]:
    """Return the certificate of *key*, followed by the certificates of its issuers that the record has."""
    certificates = _certificates(content)
    matching = [certificate for certificate in certificates if certificate.public_key() == key.public_key()]
    if not matching:
        raise FormatError(
            f"record {content.title!r}: none of {len(certificates)} PEM certificates belongs to the private key; "
            "add the one that does"
        )
    chain = matching[:1]
    rest = [certificate for certificate in certificates if certificate not in matching]
    while issuers := [certificate for certificate in rest if certificate.subject == chain[-1].issuer]:
        chain.append(issuers[0])
        rest.remove(issuers[0])
    return chain


def _certificates(content: RecordContent) -> list[Certificate]:
    from cryptography import x509

    try:
        return [x509.load_pem_x509_certificate(pem) for label, pem in _blocks(content) if label in _CERTIFICATES]
    except ValueError:
        raise FormatError(f"record {content.title!r}: a certificate cannot be read; attach it as PEM") from None


FORMAT = Format(
    "pkcs12",
    _write_pkcs12,
    "key store for Java, from PEMs in fields and files",
    repeatable=False,
    reads_attachments=True,
)
