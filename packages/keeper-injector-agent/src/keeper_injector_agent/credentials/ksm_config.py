"""The KSM configuration as people store it: JSON, or base64 of JSON in any alphabet, padded or not, with stray white space."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping

from keeper_injector_agent.errors import PermanentVaultError

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
"""What the SDK knows; it fails on anything else."""
NEEDED = ("clientId", "privateKey", "appKey")


def parse_configuration(content: bytes, where: str) -> Mapping[str, str]:
    """Return the configuration in *content*; raises PermanentVaultError that names *where* and never the content."""
    text = content.decode("utf-8", errors="replace").strip().lstrip("\ufeff")
    if not text:
        raise PermanentVaultError(f"{where}: empty; put the KSM configuration there (base64 or JSON)")
    values = _json(text) or _json(_base64(text)) or {}
    if not values:
        kind = "a one-time token" if _looks_like_token(text) else "neither JSON nor base64 of JSON"
        raise PermanentVaultError(f"{where}: {kind}; put a bound KSM configuration there (base64 or JSON)")
    missing = [key for key in NEEDED if not values.get(key)]
    if missing:
        raise PermanentVaultError(
            f"{where}: no {', '.join(missing)} in the KSM configuration; create a new one in Keeper"
        )
    return {key: str(value) for key, value in values.items() if key in _KEYS and value is not None}


def _json(text: str) -> Mapping[str, object]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def _base64(text: str) -> str:
    compact = re.sub(r"\s", "", text).rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        return base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True).decode()
    except (binascii.Error, ValueError):
        return ""


def _looks_like_token(text: str) -> bool:
    return re.fullmatch(r"([A-Za-z0-9]{2,4}:)?[A-Za-z0-9_-]{43}", text) is not None
