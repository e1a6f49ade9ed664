"""Parses the KSM configuration as people store it: JSON or base64 of JSON.

The base64 may use either alphabet, with or without padding, and may contain white space.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping

from keeper_injector_agent.errors import PermanentVaultError
from keeper_injector_common.json_values import as_object

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
_REQUIRED_KEYS = ("clientId", "privateKey", "appKey")
"""The keys of a bound configuration; before binding it has a ``clientKey`` instead."""


def parse_configuration(content: bytes, where: str) -> Mapping[str, str]:
    """Return the configuration in *content*; raises PermanentVaultError, whose message begins with *where*."""
    text = content.decode("utf-8", errors="replace").strip().lstrip("\ufeff")
    if not text:
        raise PermanentVaultError(f"{where}: empty; store the KSM configuration there (base64 or JSON)")
    values = _from_json(text) or _from_json(_from_base64(text)) or {}
    if not values:
        kind = "a one-time token" if _looks_like_token(text) else "neither JSON nor base64 of JSON"
        raise PermanentVaultError(f"{where}: {kind}; store a bound KSM configuration there (base64 or JSON)")
    check_required_keys(values, where)
    return {key: str(value) for key, value in values.items() if key in _KEYS and value is not None}


def check_required_keys(configuration: Mapping[str, object], where: str) -> None:
    """Raise PermanentVaultError, with *where*, if a key that a bound configuration needs is missing or empty."""
    missing = [key for key in _REQUIRED_KEYS if not configuration.get(key)]
    if missing:
        raise PermanentVaultError(
            f"{where}: {', '.join(missing)} missing in the KSM configuration; create a new one in Keeper"
        )


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
