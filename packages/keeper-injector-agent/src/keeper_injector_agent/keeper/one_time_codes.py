"""Computes one-time codes (TOTP, RFC 6238) from the ``otpauth://`` URLs that records contain.

Source of the URL's form: "Key URI Format" of Google Authenticator. Keeper's SDK (17.3.0) is not used: it rejects secrets with
spaces, ignores parameters that it cannot read, and raises OverflowError for a large counter.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from urllib.parse import parse_qsl, urlsplit

from keeper_injector_common.errors import ContractError

_ALGORITHMS = ("SHA1", "SHA256", "SHA512")
_DIGITS = ("6", "7", "8")
_GROUPING = re.compile(r"[\s=-]")
"""Padding, and what people put between the groups of a secret that they type."""
_PERIOD = re.compile(r"0*[1-9][0-9]{0,5}", re.ASCII)


class OneTimeCodeError(ContractError):
    """No code can be computed from a URL. The message is a clause without the URL, which contains a secret."""


def one_time_code(url: object, at: float) -> str:
    """Return the code at the time *at* (seconds since the epoch); raises OneTimeCodeError.

    >>> one_time_code("otpauth://totp/x?secret=GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ&digits=8", 59)
    '94287082'
    """
    parameters = _parameters(url)
    algorithm = parameters.get("algorithm", "SHA1").upper()
    if algorithm not in _ALGORITHMS:
        raise OneTimeCodeError(f"its algorithm is not one of {', '.join(_ALGORITHMS)}")
    digits = parameters.get("digits", "6")
    if digits not in _DIGITS:
        raise OneTimeCodeError("its number of digits is not 6, 7 or 8")
    period = parameters.get("period", "30")
    if not _PERIOD.fullmatch(period):
        raise OneTimeCodeError("its period is not a number of seconds below one million")
    counter = int(at) // int(period)
    digest = hmac.digest(_secret(parameters.get("secret", "")), counter.to_bytes(8, "big"), algorithm)
    offset = digest[-1] & 0xF  # RFC 4226, 5.3
    code = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return str(code % 10 ** int(digits)).zfill(int(digits))


def _parameters(url: object) -> dict[str, str]:
    """Return the parameters of an ``otpauth://totp`` URL by name in small letters."""
    try:
        parts = urlsplit(str(url).strip())
        pairs = [(name.lower(), value.strip()) for name, value in parse_qsl(parts.query, max_num_fields=20)]
    except ValueError:
        raise OneTimeCodeError("its URL cannot be parsed") from None
    if not isinstance(url, str) or parts.scheme != "otpauth":
        raise OneTimeCodeError("its value is not an otpauth:// URL")
    if parts.netloc.lower() != "totp":
        raise OneTimeCodeError("it is not a time-based code (otpauth://totp/…), the only kind that Keeper can compute")
    found: dict[str, str] = {}
    for name, value in pairs:
        if found.setdefault(name, value) != value:
            raise OneTimeCodeError(f"its URL has two different values for {name}")
    return found


def _secret(text: str) -> bytes:
    letters = _GROUPING.sub("", text)
    if not letters:
        raise OneTimeCodeError("its secret is empty")
    try:
        key = base64.b32decode(letters + "=" * (-len(letters) % 8), casefold=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise OneTimeCodeError("its secret is not base32 (letters, and the digits 2 to 7)")
    return key
