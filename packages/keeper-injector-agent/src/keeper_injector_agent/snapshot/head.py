"""The head of a snapshot: the only file that changes, signed with the private key of the KSM device.

Its time is that of Keeper's answer, from the header ``Date``: all replicas of a relay measure age by one clock.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from typing import Any

import attrs
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from keeper_injector_agent.errors import PermanentVaultError

LARGEST_HEAD = 4096
"""Bytes; a head has about 350."""
_DOMAIN = b"keeper-injector relay snapshot v1\0"
"""What every signed text begins with. The device signs its requests to Keeper with the same key; those begin with the byte 4
of an uncompressed point, so that neither signature can be used for the other."""
_DIGEST = re.compile(r"[0-9a-f]{64}")


@attrs.frozen
class Head:
    """The newest snapshot of one application."""

    application: str
    """See :func:`~keeper_injector_common.ksm_configuration.application_id`."""
    index: str
    """SHA-256 of the index, in hexadecimal."""
    fetched: int
    """When Keeper sent this content, or said that it had not changed: seconds since the epoch, by Keeper's clock."""
    frozen: bool = False
    """Whether the operator of the relay holds this content back from changing."""

    def signed_by(self, key: ec.EllipticCurvePrivateKey) -> bytes:
        """Return the file with a signature by *key* (ECDSA with SHA-256, DER)."""
        signature = key.sign(self._signed_text(), ec.ECDSA(SHA256()))
        return json.dumps({**self._values(), "signature": base64.b64encode(signature).decode()}).encode()

    def _values(self) -> dict[str, Any]:
        return attrs.asdict(self)

    def _signed_text(self) -> bytes:
        return _DOMAIN + json.dumps(self._values(), sort_keys=True, separators=(",", ":")).encode()


def read_head(content: bytes, application: str, key: ec.EllipticCurvePublicKey) -> Head:
    """Return the head in *content*; raises PermanentVaultError unless *key* signed it, for *application*."""
    try:
        values = json.loads(content[: LARGEST_HEAD + 1])
        signature = base64.b64decode(values.pop("signature"), validate=True)
        head = Head(**values)
        _check(head)
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError, binascii.Error):
        raise PermanentVaultError("relay: its answer is not the head of a snapshot; check the relay's URL") from None
    try:
        key.verify(signature, head._signed_text(), ec.ECDSA(SHA256()))  # noqa: SLF001 - of this module
    except InvalidSignature:
        raise PermanentVaultError(
            "relay: the snapshot is not signed by this application's device, so it is not used; if the relay got a new KSM "
            "configuration, run split again and replace both halves"
        ) from None
    if head.application != application:
        raise PermanentVaultError(
            "relay: the snapshot belongs to another application; the halves of split do not match"
        )
    return head


def _check(head: Head) -> None:
    """Raise ValueError if a value is not of its type: JSON has been read without a schema."""
    texts: tuple[object, ...] = (head.application, head.index)
    for text in texts:
        if not isinstance(text, str) or not _DIGEST.fullmatch(text):
            raise ValueError("digest")
    if type(head.fetched) is not int or not 0 <= head.fetched < math.pow(2, 40) or type(head.frozen) is not bool:
        raise ValueError("time")


def public_key(point: bytes) -> ec.EllipticCurvePublicKey:
    """Return the key of an uncompressed *point* of P-256 (65 bytes); raises ValueError."""
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
