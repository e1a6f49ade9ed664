"""A Secret that someone or something changed: the material that follows from it is always usable."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import timedelta

import pytest
from api_server import SECRET, ApiServer
from certificate_cluster import DAY, NOW, OBJECTS, material, reach, verify
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper_injector_webhook.certificates import authority, stored
from keeper_injector_webhook.errors import ClusterError

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
GOOD = stored.to_secret_data(material())
NAMES = ("tls.crt", "tls.key", "ca.crt", "ca.key")


def pair(key: Key, *extensions: x509.ExtensionType, subject: str = "x", days: int = 900) -> tuple[bytes, bytes]:
    """Return a certificate that *key* signed for itself, and the key, both as PEM."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(7).not_valid_before(NOW - DAY).not_valid_after(NOW + timedelta(days=days))
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return (
        builder.sign(key, algorithm).public_bytes(Encoding.PEM),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )


def secret(**parts: bytes) -> dict[str, str]:
    """Return the good Secret with some parts replaced: ``ca_crt`` is the key ``ca.crt``."""
    return {**GOOD, **{name.replace("_", "."): base64.b64encode(part).decode() for name, part in parts.items()}}


def authorities(key: Key, *extensions: x509.ExtensionType, days: int = 900) -> dict[str, str]:
    """Return the good Secret with another CA."""
    certificate, private = pair(key, *extensions, days=days)
    return secret(ca_crt=certificate, ca_key=private)


def signing(key: Key) -> tuple[x509.ExtensionType, ...]:
    """Return the extensions of a CA."""
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return x509.BasicConstraints(ca=True, path_length=0), usage, identifier


P256 = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
ED25519 = ed25519.Ed25519PrivateKey.generate()
_NONE_ALLOWED = x509.NameConstraints(permitted_subtrees=[x509.DNSName("other.example")], excluded_subtrees=None)
_ENCRYPTED = P256.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word"))

DAMAGED: dict[str, Callable[[], dict[str, str]]] = {
    "a CA with an RSA key": lambda: authorities(RSA, *signing(RSA)),
    "a CA with an Ed25519 key": lambda: authorities(ED25519, *signing(ED25519)),
    "a CA with the curve P-521": lambda: authorities((key := ec.generate_private_key(ec.SECP521R1())), *signing(key)),
    "a CA without an ID": lambda: authorities(P256, *signing(P256)[:2]),
    "a CA that may not sign": lambda: authorities(P256, signing(P256)[0], signing(P256)[2]),
    "a certificate that is not a CA": lambda: authorities(P256),
    "a leaf without names": lambda: secret(**dict(zip(("tls_crt", "tls_key"), pair(P256), strict=True))),
    "a key that is encrypted": lambda: secret(tls_key=_ENCRYPTED),
    "two CAs and one key": lambda: secret(ca_crt=base64.b64decode(GOOD["ca.crt"]) + pair(P256)[0]),
    "text": lambda: secret(ca_crt=b"no certificate"),
    "no PEM block": lambda: secret(ca_crt=b"", ca_key=b""),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_secret_that_the_webhook_cannot_have_written_is_damaged(name: str) -> None:
    """Keys of another kind, certificates that may not sign, and leaves without names count as damage."""
    assert stored.from_secret_data(DAMAGED[name]()) is None


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(authorities(P256, *signing(P256), _NONE_ALLOWED), id="a CA for other names"),
        pytest.param(authorities(P256, *signing(P256), days=2), id="a CA that expires in two days"),
        pytest.param(
            secret(**dict(zip(("tls_crt", "tls_key"), pair(P256, x509.SubjectAlternativeName([])), strict=True))),
            id="a leaf with an empty list of names",
        ),
        pytest.param(stored.to_secret_data(material(NOW + 3 * 365 * DAY)), id="written three years ahead"),
        pytest.param(stored.to_secret_data(material(NOW - 9 * 365 * DAY)), id="written nine years ago"),
    ],
)
def test_a_readable_secret_that_does_not_serve_is_replaced(data: dict[str, str]) -> None:
    """What is read but would not be accepted by an API server is renewed, and the renewed material is kept."""
    check(data)


def check(data: dict[str, str]) -> None:
    """Check that the material that follows from *data* verifies, survives a Secret, and is not renewed again."""
    found = authority.renew_if_due(stored.from_secret_data(data), NOW, OBJECTS.names)
    verify(found.leaf.certificate, found.bundle, NOW)
    assert stored.from_secret_data(stored.to_secret_data(found)) == found
    assert authority.renew_if_due(found, NOW, OBJECTS.names) is found
    assert all(item.parsed.not_valid_before_utc <= NOW < item.parsed.not_valid_after_utc for item in found.authorities)
    assert stored.merge_bundle(b"", found, NOW) == found.bundle


PIECES = [base64.b64decode(text) for case in DAMAGED.values() for text in case().values()]


@st.composite
def secrets(draw: st.DrawFn) -> dict[str, str]:
    """Draw Secrets: parts of several ones mixed, joined, cut, and with single bytes changed."""
    data: dict[str, str] = {}
    for name in NAMES:
        content = b"".join(
            draw(st.lists(st.sampled_from([base64.b64decode(GOOD[name]), *PIECES]), min_size=1, max_size=2))
        )
        match draw(st.sampled_from(["as it is", "cut", "changed", "missing", "not base64"])):
            case "cut":
                content = content[: draw(st.integers(0, len(content)))]
            case "changed" if content:
                place = draw(st.integers(0, len(content) - 1))
                content = content[:place] + bytes([draw(st.integers(0, 255))]) + content[place + 1 :]
            case "missing":
                continue
            case "not base64":
                data[name] = "?" + base64.b64encode(content).decode()
                continue
            case _:
                pass
        data[name] = base64.b64encode(content).decode()
    return data


@given(data=secrets())
@settings(max_examples=60, deadline=None)
def test_every_secret_ends_with_a_usable_pair(data: dict[str, str]) -> None:
    """Whatever the Secret contains, nothing is raised and the material that follows is one that API servers accept."""
    check(data)


@given(
    offsets=st.lists(st.integers(-1200, 1200), min_size=1, max_size=6),
    same=st.booleans(),
)
@settings(max_examples=20, deadline=None)
def test_replicas_with_other_clocks_do_not_leave_an_unusable_pair(offsets: list[int], *, same: bool) -> None:
    """A replica with the right clock repairs what replicas with wrong clocks wrote, whatever they wrote before."""
    found = material() if same else None
    for days in offsets:
        found = authority.renew_if_due(found, NOW + days * DAY, OBJECTS.names)
    assert found is not None
    check(stored.to_secret_data(found))


@pytest.mark.parametrize("name", DAMAGED)
def test_the_program_replaces_a_damaged_secret(api: ApiServer, caplog: pytest.LogCaptureFixture, name: str) -> None:
    """The certificate program logs the damage, without a traceback, and writes a Secret that it can use."""
    api.store(SECRET, {**api.objects[SECRET], "data": DAMAGED[name]()})
    found, _ = reach(api).ensure(NOW)
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == ["certificate.damaged"]
    assert stored.from_secret_data(api.objects[SECRET]["data"]) == found


def test_a_wrong_clock_is_an_error(api: ApiServer) -> None:
    """A replica whose clock differs from the API server's by hours writes nothing and names both times."""
    cluster = reach(api)
    with pytest.raises(ClusterError, match=r"clock: 2029-11-24 00:00 here is .* at the API server; set the clock"):
        cluster.check_clock(NOW + timedelta(days=3 * 365 + 1))
    assert "data" not in api.objects[SECRET]
