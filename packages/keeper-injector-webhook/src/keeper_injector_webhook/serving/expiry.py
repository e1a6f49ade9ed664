"""Reads when a certificate expires. The library `cryptography` could, but would take 9 MB of the server's memory for this date alone."""

from __future__ import annotations

import re
import ssl
from datetime import UTC, datetime

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_VERSION = 0xA0
_UTC_TIME = 0x17
_FIELDS_BEFORE_VALIDITY = 3
"""Serial number, signature algorithm and issuer."""


def not_after(pem: bytes) -> datetime:
    """Return the end of the validity of the first certificate in *pem*, which OpenSSL accepts; raises ValueError for anything else.

    A certificate begins with the fields version (optional), serial number, signature algorithm, issuer and validity (RFC 5280,
    section 4.1).
    """
    found = _CERTIFICATE.search(pem.decode("ascii", "replace"))
    if found is None:
        raise ValueError("not a certificate in PEM")
    der = ssl.PEM_cert_to_DER_cert(found[0])
    try:
        _, position, _ = _element(der, 0)
        _, position, _ = _element(der, position)
        tag, _, end = _element(der, position)
        if tag == _VERSION:
            position = end
        for _ in range(_FIELDS_BEFORE_VALIDITY):
            _, _, position = _element(der, position)
        _, position, _ = _element(der, position)
        _, _, position = _element(der, position)
        tag, position, end = _element(der, position)
    except IndexError:
        raise ValueError("not a certificate in DER") from None
    return _time(der[position:end].decode("ascii"), two_digits=tag == _UTC_TIME)


def _element(der: bytes, position: int) -> tuple[int, int, int]:
    """Return the tag of the element at *position*, and the positions of its content and of what follows (X.690, section 8.1)."""
    tag, length = der[position], der[position + 1]
    content = position + 2
    if length & 0x80:
        size = length & 0x7F
        length = int.from_bytes(der[content : content + size], "big")
        content += size
    return tag, content, content + length


def _time(text: str, *, two_digits: bool) -> datetime:
    """Parse ``YYMMDDhhmmssZ`` or ``YYYYMMDDhhmmssZ``; two digits are a year from 1950 to 2049 (RFC 5280, section 4.1.2.5)."""
    if two_digits:
        text = f"{'19' if text >= '50' else '20'}{text}"
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
