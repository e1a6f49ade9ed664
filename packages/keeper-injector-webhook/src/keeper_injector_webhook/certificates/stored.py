"""How the webhook's CAs and serving certificate are stored: in the data of a Secret, and the CAs in a ``caBundle``.

What is read is checked: another program or person may have written it. See :mod:`.authority` for what is stored.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from cryptography import x509

from keeper_injector_webhook.certificates.authority import Material
from keeper_injector_webhook.certificates.key_pair import UNREADABLE, read_key_pair

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_END = b"-----END "


def to_secret_data(material: Material) -> dict[str, str]:
    """Return *material* as the ``data`` of a Secret: ``tls.crt``, ``tls.key``, ``ca.crt`` and ``ca.key``, each base64.

    ``ca.crt`` and ``ca.key`` hold all CAs and their keys in the same order.
    """
    parts = {
        "tls.crt": material.leaf.certificate,
        "tls.key": material.leaf.key,
        "ca.crt": material.bundle,
        "ca.key": b"".join(authority.key for authority in material.authorities),
    }
    return {name: base64.b64encode(content).decode() for name, content in parts.items()}


def from_secret_data(data: Mapping[str, str]) -> Material | None:
    """Read what :func:`to_secret_data` wrote; return None if the Secret is empty or damaged, as :mod:`.authority` defines it."""
    try:
        parts = {
            name: base64.b64decode(data[name], validate=True) for name in ("tls.crt", "tls.key", "ca.crt", "ca.key")
        }
        pairs = zip(split_pem(parts["ca.crt"]), split_pem(parts["ca.key"]), strict=True)
        authorities = tuple(read_key_pair(*pair) for pair in pairs)
        leaf = read_key_pair(parts["tls.crt"], parts["tls.key"])
        leaf.parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        for authority in authorities:
            _check_authority(authority.parsed)
    except (KeyError, binascii.Error, *UNREADABLE):
        return None
    return Material(authorities, leaf) if authorities else None


def _check_authority(certificate: x509.Certificate) -> None:
    """Raise one of :data:`UNREADABLE` unless the certificate may sign others and has the ID that they refer to."""
    found = certificate.extensions
    found.get_extension_for_class(x509.SubjectKeyIdentifier)
    if not found.get_extension_for_class(x509.BasicConstraints).value.ca:
        raise ValueError("the certificate is not a CA")
    if not found.get_extension_for_class(x509.KeyUsage).value.key_cert_sign:
        raise ValueError("the CA may not sign certificates")


def split_pem(pem: bytes) -> list[bytes]:
    """Split PEM text into its blocks."""
    found, current = [], b""
    for line in pem.splitlines(keepends=True):
        current += line if line.endswith(b"\n") else line + b"\n"
        if line.startswith(_END):
            found.append(current)
            current = b""
    return found


def merge_bundle(present: bytes, material: Material, now: datetime) -> bytes:
    """Return *present*, a ``caBundle``, plus the CAs of *material* and minus expired certificates.

    Other certificates stay: other software may have added them, or they are earlier CAs of this webhook whose Secret was lost and
    with which a replica may still serve.
    """
    kept = []
    for block in split_pem(present):
        try:
            certificate = x509.load_pem_x509_certificate(block)
        except UNREADABLE:
            continue
        if now < certificate.not_valid_after_utc and block not in kept:
            kept.append(block)
    return b"".join([*kept, *(pair.certificate for pair in material.authorities if pair.certificate not in kept)])
