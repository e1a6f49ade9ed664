"""Splits a KSM configuration into the relay's half, which can ask Keeper, and the pods' half, which can read the answers."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

import attrs
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key

from keeper_injector_common.errors import ConfigurationError
from keeper_injector_common.ksm_configuration import (
    APPLICATION_KEY,
    DEVICE_KEY,
    RELAY_KEY,
    application_id,
    check_key_lengths,
    check_required_keys,
)
from keeper_injector_common.relay_url import parse_relay_url

_RELAYED = ("hostname", "clientId", "privateKey", "serverPublicKeyId", "serverPublicKey")
"""The entries of a KSM configuration that asking Keeper needs."""
APPLICATION = "application"
"""The entry of the relay's half for the name under which it publishes the application."""
_NEEDED = (*_RELAYED[:3], APPLICATION)


@attrs.frozen
class Halves:
    """The two files of ``split``."""

    relay: Mapping[str, str] = attrs.field(repr=False)
    pods: Mapping[str, str] = attrs.field(repr=False)


def split(configuration: Mapping[str, str], url: str, where: str) -> Halves:
    """Split a bound *configuration* for a relay at *url*; raises ConfigurationError, with *where*."""
    if RELAY_KEY in configuration:
        raise ConfigurationError(f"{where}: is the pods' half of a split already; split the configuration from Keeper")
    check_required_keys(configuration, where)
    check_key_lengths(configuration, where)
    app_key = base64.urlsafe_b64decode(configuration[APPLICATION_KEY])
    point = device_key(configuration, where).public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    relayed = {key: configuration[key] for key in _RELAYED if configuration.get(key)}
    return Halves(
        relay={**relayed, APPLICATION: application_id(app_key)},
        pods={
            RELAY_KEY: parse_relay_url(url, "--relay").text,
            APPLICATION_KEY: configuration[APPLICATION_KEY],
            DEVICE_KEY: base64.b64encode(point).decode(),
        },
    )


def device_key(configuration: Mapping[str, str], where: str) -> ec.EllipticCurvePrivateKey:
    """Return the private key of the device; raises ConfigurationError, with *where*."""
    try:
        key = load_der_private_key(base64.urlsafe_b64decode(configuration["privateKey"]), None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ConfigurationError(f"{where}: privateKey is not a key of the curve P-256; store the configuration again")
    return key


def parse_relay_half(content: bytes, where: str) -> dict[str, str]:
    """Return the relay's half in *content*; raises ConfigurationError, with *where*.

    A configuration with the application's key is refused: a relay that is taken over could read everything with it.
    """
    try:
        values = json.loads(content)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise ConfigurationError(f"{where}: not JSON; store the relay's half there, as split writes it")
    if APPLICATION_KEY in values:
        raise ConfigurationError(
            f"{where}: has the application's key, which a relay must not have; store the relay's half there, as split writes it"
        )
    if missing := [key for key in _NEEDED if not isinstance(values.get(key), str) or not values[key]]:
        raise ConfigurationError(
            f"{where}: {', '.join(missing)} missing; store the relay's half there, as split writes it"
        )
    half = {key: str(values[key]) for key in (*_RELAYED, APPLICATION) if values.get(key)}
    device_key(half, where)
    return half
