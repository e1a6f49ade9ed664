"""Parses the KSM configuration, which an application signs in to Keeper with, as people store it: JSON or base64 of JSON.

The base64 may use either alphabet, with or without padding, and may contain white space.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Mapping

from keeper_injector_common.errors import ConfigurationError
from keeper_injector_common.json_values import as_object
from keeper_injector_common.relay_url import parse_relay_url

APPLICATION_KEY = "appKey"
"""The entry of the key that decrypts records. It never leaves the pods."""
RELAY_KEY = "relay"
"""The entry of the URL of a relay, which the pods' half of a split configuration has instead of a device's identity."""
DEVICE_KEY = "devicePublicKey"
"""The entry of the public key that a relay's snapshots are signed with: an uncompressed point of P-256 as base64."""
MAX_AGE_KEY = "relayMaxAge"
"""The entry of the age at which a relay's snapshot is refused, in seconds."""
_APPLICATION = b"keeper-injector relay application v1"
_KEYS = frozenset(
    [
        "url",
        "clientId",
        "clientKey",
        "appKey",
        "appOwnerPublicKey",
        "privateKey",
        "serverPublicKeyId",
        "serverPublicKey",
        "bat",
        "bindingKey",
        "hostname",
    ]
)
"""The keys that the SDK knows; it fails on any other."""
_RELAYED_KEYS = frozenset([RELAY_KEY, APPLICATION_KEY, DEVICE_KEY, MAX_AGE_KEY])
"""The keys of the pods' half of a split configuration."""
_REQUIRED_KEYS = ("clientId", "privateKey", APPLICATION_KEY)
"""The keys of a bound configuration; before binding it has a ``clientKey`` instead."""
_SERVER_KEY = "serverPublicKey"
"""The entry of the public key of a server that the SDK does not know; most configurations do not have it."""
_LENGTHS: Mapping[str, int] = {APPLICATION_KEY: 32, "clientId": 64, DEVICE_KEY: 65, _SERVER_KEY: 65}
"""Bytes: a key of AES-256, the output of HMAC-SHA-512, and points of P-256."""
_STORE_AGAIN = "it was cut off or changed, so store the whole KSM configuration again, or create a new one in Keeper"


def parse_configuration(content: bytes, where: str) -> Mapping[str, str]:
    """Return the configuration in *content*; raises ConfigurationError, whose message begins with *where*."""
    text = content.decode("utf-8", errors="replace").strip().lstrip("\ufeff")
    if not text:
        raise ConfigurationError(f"{where}: empty; store the KSM configuration there (base64 or JSON)")
    values = _from_json(text) or _from_json(_from_base64(text)) or {}
    if not values:
        kind = "a one-time token" if _looks_like_token(text) else "neither JSON nor base64 of JSON"
        raise ConfigurationError(f"{where}: {kind}; store a bound KSM configuration there (base64 or JSON)")
    check_required_keys(values, where)
    known = _RELAYED_KEYS if RELAY_KEY in values else _KEYS
    return {key: str(value) for key, value in values.items() if key in known and value is not None}


def application_id(app_key: bytes) -> str:
    """Return the name under which a relay publishes the application with *app_key*: 64 hexadecimal digits.

    It is derived by HKDF-SHA-256 (RFC 5869, without a salt): who has the key knows the name, nobody else can guess it, and
    it does not reveal the key.
    """
    secret = hmac.new(bytes(32), app_key, hashlib.sha256).digest()
    return hmac.new(secret, _APPLICATION + b"\x01", hashlib.sha256).hexdigest()


def check_required_keys(configuration: Mapping[str, object], where: str) -> None:
    """Raise ConfigurationError, with *where*, if a key that a bound configuration needs is missing or empty."""
    if RELAY_KEY in configuration:
        _check_pods_half(configuration, where)
        return
    missing = [key for key in _REQUIRED_KEYS if not configuration.get(key)]
    if missing:
        raise ConfigurationError(
            f"{where}: {', '.join(missing)} missing in the KSM configuration; create a new one in Keeper"
        )


def _check_pods_half(configuration: Mapping[str, object], where: str) -> None:
    if missing := [key for key in (APPLICATION_KEY, DEVICE_KEY) if not configuration.get(key)]:
        raise ConfigurationError(
            f"{where}: {', '.join(missing)} missing; store the pods' half there, as keeper-injector-agent split writes it"
        )
    parse_relay_url(str(configuration[RELAY_KEY]), f"{where}: {RELAY_KEY}")
    if not re.fullmatch(r"[1-9]\d{0,8}", str(configuration.get(MAX_AGE_KEY, 1))):
        raise ConfigurationError(f"{where}: {MAX_AGE_KEY} is not a number of seconds; write one such as 86400")


def check_key_lengths(configuration: Mapping[str, str], where: str) -> None:
    """Raise ConfigurationError, with *where*, if an identifier or a key was cut off or is not base64.

    The SDK (17.3.0) reports that as a response that cannot be decrypted, or as an error of the cryptography library.
    """
    relayed = RELAY_KEY in configuration
    for key, length in _LENGTHS.items():
        if key not in (_RELAYED_KEYS if relayed else _KEYS) or (key == _SERVER_KEY and not configuration.get(key)):
            continue
        found = decoded(configuration.get(key, "") + ("==" if key == _SERVER_KEY else ""))  # as the SDK does
        if found is None or len(found) != length:
            state = "is not base64" if found is None else f"has {len(found)} bytes instead of {length}"
            raise ConfigurationError(f"{where}: {key} {state}; {_STORE_AGAIN}")
    if relayed:
        return
    found = decoded(configuration.get("privateKey", ""))
    if found is None or not _is_whole_der(found):
        raise ConfigurationError(f"{where}: privateKey is not a whole key in DER format; {_STORE_AGAIN}")


def _is_whole_der(data: bytes) -> bool:
    """Return whether *data* is a sequence of exactly the length in its head (X.690, 8.1.3)."""
    if len(data) < 2 or data[0] != 0x30:
        return False
    length, head = data[1], 2
    if length & 0x80:
        head += length & 0x7F
        length = int.from_bytes(data[2:head], "big")
    return len(data) == head + length


def decoded(text: str) -> bytes | None:
    """Decode base64 as the SDK does, with the alphabet of URLs or the other one; None if that is impossible."""
    try:
        return base64.urlsafe_b64decode(text)
    except (binascii.Error, ValueError):
        return None


def _from_json(text: str) -> Mapping[str, object]:
    try:
        return as_object(json.loads(text))
    except (ValueError, RecursionError):
        return {}


def _from_base64(text: str) -> str:
    compact = re.sub(r"\s", "", text).rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        return base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True).decode()
    except (binascii.Error, ValueError):
        return ""


def _looks_like_token(text: str) -> bool:
    return re.fullmatch(r"([A-Za-z0-9]{2,4}:)?[A-Za-z0-9_-]{43}", text) is not None
