"""Byte layouts of Keeper Secrets Manager's protocol; pure functions over bytes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, padding, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

POINT = 65
_IV, _CBC_IV = 12, 16
_CLIENT_ID_MESSAGE = b"KEEPER_SECRETS_MANAGER_CLIENT_ID"


def b64(data: bytes) -> str:
    """Encode with the standard alphabet, padded: the SDK decodes most fields without adding padding."""
    return base64.b64encode(data).decode()


def unb64(text: str) -> bytes:
    """Decode either alphabet, padded or not: clients send a mix."""
    compact = text.translate(str.maketrans("-_", "+/")).rstrip("=")
    return base64.b64decode(compact + "=" * (-len(compact) % 4))


def b64url(data: bytes) -> str:
    """Encode with the URL-safe alphabet, unpadded."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def new_uid() -> str:
    """Return 16 random bytes in Keeper's encoding; like Keeper's clients, avoid a leading ``-``."""
    while (uid := b64url(os.urandom(16))).startswith("-"):
        pass
    return uid


def new_key() -> ec.EllipticCurvePrivateKey:
    """Return a P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def point(key: ec.EllipticCurvePublicKey) -> bytes:
    """Return the uncompressed point of a public key, 65 bytes."""
    return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def public_key(data: bytes) -> ec.EllipticCurvePublicKey:
    """Read an uncompressed point; raises ValueError."""
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), data)


def pkcs8(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return the DER form that clients keep in ``privateKey`` (138 bytes, with the public key)."""
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def gcm(key: bytes, data: bytes) -> bytes:
    """Encrypt as ``iv || ciphertext || tag``."""
    iv = os.urandom(_IV)
    return iv + AESGCM(key).encrypt(iv, data, None)


def ungcm(key: bytes, data: bytes) -> bytes:
    """Decrypt the result of :func:`gcm`. Raises InvalidTag."""
    return AESGCM(key).decrypt(data[:_IV], data[_IV:], None)


def cbc(key: bytes, data: bytes) -> bytes:
    """Encrypt as ``iv || ciphertext`` with PKCS #7 padding: only for folders' names and sub-folders' keys."""
    iv = os.urandom(_CBC_IV)
    padder = padding.PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    return iv + encryptor.update(padder.update(data) + padder.finalize()) + encryptor.finalize()


def uncbc(key: bytes, data: bytes) -> bytes:
    """Decrypt the result of :func:`cbc`."""
    decryptor = Cipher(algorithms.AES(key), modes.CBC(data[:_CBC_IV])).decryptor()
    unpadder = padding.PKCS7(128).unpadder()
    return unpadder.update(decryptor.update(data[_CBC_IV:]) + decryptor.finalize()) + unpadder.finalize()


def ecies_encrypt(key: ec.EllipticCurvePublicKey, data: bytes) -> bytes:
    """Encrypt for the owner of *key*, as clients do for Keeper and for the application's owner."""
    ephemeral = new_key()
    shared = ephemeral.exchange(ec.ECDH(), key)
    return point(ephemeral.public_key()) + gcm(hashlib.sha256(shared).digest(), data)


def ecies_decrypt(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    """Open ``ephemeral point || GCM blob`` under SHA-256 of the shared X; raises ValueError or InvalidTag."""
    shared = key.exchange(ec.ECDH(), public_key(data[:POINT]))
    return ungcm(hashlib.sha256(shared).digest(), data[POINT:])


def client_id(token: bytes) -> str:
    """Return the client id of a device, derived from its one-time token."""
    return b64(hmac.new(token, _CLIENT_ID_MESSAGE, hashlib.sha512).digest())


def signed_by(key: ec.EllipticCurvePublicKey, signature: bytes, message: bytes) -> bool:
    """Return whether *signature* (DER, ECDSA with SHA-256) is valid for *message*."""
    try:
        key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True
