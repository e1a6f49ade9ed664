"""``pkcs12`` key stores are read back by the library that wrote them, by OpenSSL and, if installed, by Java."""

from __future__ import annotations

import base64
import datetime as dt
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.serialization import pkcs12

from keeper_injector_common.errors import FormatError
from keeper_injector_common.records import formats

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "p@ss 'w\"rd\\1"
TITLE = "Prod TLS"


@attrs.frozen
class Issued:
    """A key and its certificate, both also as PEM."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def key_pem(self) -> str:
        """The key as Keeper's key pairs hold it."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()

    @property
    def pem(self) -> str:
        """The certificate as text."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()


def issue(name: str, issuer: Issued | None = None) -> Issued:
    """Issue a certificate; without an *issuer* it is self-signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=36500))
    )
    return Issued(key, builder.sign(issuer.key if issuer else key, hashes.SHA256()))


ROOT = issue("root")
MIDDLE = issue("middle", ROOT)
LEAF = issue("leaf", MIDDLE)
FIELDS = {"keyPair": {"publicKey": "", "privateKey": LEAF.key_pem}, "certificate": LEAF.pem, "password": PASSWORD}


def write_store(fields: dict[str, Any], files: dict[str, bytes] | None = None) -> bytes:
    """Write the store of a record with these fields and attachments."""
    return formats.write_content("pkcs12", formats.RecordContent(TITLE, fields, files or {}))


def subjects(store: pkcs12.PKCS12KeyAndCertificates) -> list[str]:
    """Return the subjects of the certificates, in the order of the store."""
    assert store.cert is not None
    chain = [store.cert, *store.additional_certs]
    return [link.certificate.subject.rfc4514_string() for link in chain]


PLACES = {
    "fields": (FIELDS, {}),
    "files": ({"password": PASSWORD}, {"tls.key": LEAF.key_pem.encode(), "tls.crt": LEAF.pem.encode()}),
    "one file": ({"password": PASSWORD}, {"all.pem": (LEAF.pem + "\n" + LEAF.key_pem).encode()}),
    "windows lines": ({"password": PASSWORD, "a": (LEAF.key_pem + LEAF.pem).replace("\n", "\r\n")}, {}),
    "twice": (FIELDS, {"tls.key": LEAF.key_pem.encode(), "tls.pem": b"Bag Attributes\n" + LEAF.pem.encode()}),
    "beside binary": (FIELDS, {"photo.jpg": b"\xff\xd8\x00"}),
}


@pytest.mark.parametrize(("fields", "files"), PLACES.values(), ids=PLACES.keys())
def test_key_and_certificate_are_found_anywhere(fields: dict[str, Any], files: dict[str, bytes]) -> None:
    """Key and certificate are found in fields and attachments, in any order, once each."""
    store = pkcs12.load_pkcs12(write_store(fields, files), PASSWORD.encode())
    assert store.key is not None
    assert store.key.public_key() == LEAF.key.public_key()
    assert subjects(store) == ["CN=leaf"]
    assert store.cert is not None
    assert store.cert.friendly_name == TITLE.encode()


def test_chain_in_order() -> None:
    """Issuers follow the certificate in order; an unrelated certificate is left out."""
    files = {"chain.pem": (ROOT.pem + issue("stranger").pem + MIDDLE.pem).encode()}
    assert subjects(pkcs12.load_pkcs12(write_store(FIELDS, files), PASSWORD.encode())) == [
        "CN=leaf",
        "CN=middle",
        "CN=root",
    ]


def test_encrypted_key() -> None:
    """An encrypted key is decrypted with the password of the record."""
    locked = LEAF.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(PASSWORD.encode()),
    )
    store = pkcs12.load_pkcs12(
        write_store({"password": PASSWORD, "crt": LEAF.pem}, {"k.pem": locked}), PASSWORD.encode()
    )
    assert store.key is not None
    with pytest.raises(FormatError, match="cannot be decrypted with the field password"):
        write_store({"password": "another", "crt": LEAF.pem}, {"k.pem": locked})


NOT_BASE64 = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
X25519 = x25519.X25519PrivateKey.generate().private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
REJECTED = {
    "no key": ({"keyPair": None}, "has 0 PEM private keys"),
    "two keys": ({"other": MIDDLE.key_pem}, "has 2 PEM private keys"),
    "no certificate": ({"certificate": ""}, "none of 0 PEM certificates belongs to the private key"),
    "another's certificate": ({"certificate": ROOT.pem}, "none of 1 PEM certificates belongs"),
    "damaged certificate": ({"chain": NOT_BASE64}, "a certificate cannot be read; attach it as PEM"),
    "damaged key": (
        {"keyPair": LEAF.key_pem.replace("\nMI", "\nQQ")},
        "the private key cannot be read; attach an unencrypted PKCS #8 PEM",
    ),
    "unsupported key": ({"keyPair": X25519.decode()}, "has an unsupported type"),
    "no password": ({"password": ""}, "the field password is missing, and Java needs it; add it in Keeper"),
    "two passwords": ({"password": [PASSWORD, "b"]}, "the field password is missing"),
    "password with NUL": ({"password": f"{PASSWORD}\0"}, "characters that Java does not accept"),
    "password beyond ASCII": ({"password": f"{PASSWORD}é"}, "characters that Java does not accept"),
}


@pytest.mark.parametrize(("fields", "message"), REJECTED.values(), ids=REJECTED.keys())
def test_incomplete_record_is_rejected(fields: dict[str, Any], message: str) -> None:
    """The error names what is missing or unusable, and contains neither key nor password."""
    with pytest.raises(FormatError, match=rf"^record 'Prod TLS': .*{message}") as caught:
        write_store(FIELDS | fields)
    assert PASSWORD not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_store_is_declared_not_repeatable() -> None:
    """Two stores of equal content have different salts, and the format declares it."""
    assert write_store(FIELDS) != write_store(FIELDS)
    assert not formats.FORMATS["pkcs12"].repeatable


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the optional library, the error names the extra to install."""
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.serialization", None)
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.serialization.pkcs12", None)
    with pytest.raises(FormatError, match=r"install keeper-injector-common\[pkcs12\]$"):
        write_store(FIELDS)


def run(*command: str, folder: Path) -> str:
    """Return what a *command* prints."""
    return subprocess.run(command, capture_output=True, check=True, text=True, cwd=folder).stdout


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_reads_the_store(tmp_path: Path) -> None:
    """OpenSSL opens the store with the password of the record."""
    (tmp_path / "store.p12").write_bytes(write_store(FIELDS))
    output = run(*["openssl", "pkcs12", "-in", "store.p12", "-nodes", "-passin"], f"pass:{PASSWORD}", folder=tmp_path)
    assert LEAF.pem.strip() in output
    assert "friendlyName: Prod TLS" in output


JAVA = """
import java.io.*; import java.security.*; import java.security.cert.Certificate; import java.util.*;
class Read {
    public static void main(String[] arguments) throws Exception {
        String text = new String(System.in.readAllBytes(), "UTF-8");
        char[] password = text.toCharArray();
        KeyStore store = KeyStore.getInstance("PKCS12");
        try (InputStream file = new FileInputStream(arguments[0])) { store.load(file, password); }
        Key key = store.getKey("prod tls", password);
        System.out.println(Base64.getEncoder().encodeToString(key.getEncoded()));
        for (Certificate link : store.getCertificateChain("prod tls"))
            System.out.println(Base64.getEncoder().encodeToString(link.getEncoded()));
    }
}
"""


@pytest.mark.skipif(shutil.which("javac") is None, reason="no Java development kit is installed")
def test_java_reads_the_store(tmp_path: Path) -> None:
    """Java opens the store with the password of the record and gets the key and the whole chain."""
    files = {"chain.pem": (ROOT.pem + MIDDLE.pem).encode()}
    (tmp_path / "store.p12").write_bytes(write_store(FIELDS, files))
    (tmp_path / "Read.java").write_text(JAVA)
    done = subprocess.run(
        ["java", "Read.java", "store.p12"], input=PASSWORD.encode(), capture_output=True, check=False, cwd=tmp_path
    )
    assert done.stderr.decode() == ""
    key, *chain = [base64.b64decode(line) for line in done.stdout.splitlines()]
    assert serialization.load_der_private_key(key, None).public_key() == LEAF.key.public_key()
    assert [x509.load_der_x509_certificate(link) for link in chain] == [
        link.certificate for link in (LEAF, MIDDLE, ROOT)
    ]
