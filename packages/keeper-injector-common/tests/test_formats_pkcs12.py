"""Key stores, read back by the library that wrote them, by OpenSSL and, where there is one, by Java."""

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
    """Make a certificate, self-signed without an *issuer*."""
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


def render(fields: dict[str, Any], files: dict[str, bytes] | None = None) -> bytes:
    """Write the store of a record with these fields and attachments."""
    return formats.write_content("pkcs12", formats.RecordContent(TITLE, fields, files or {}))


def names(store: pkcs12.PKCS12KeyAndCertificates) -> list[str]:
    """Return whose the certificates are, in the order of the store."""
    assert store.cert is not None
    chain = [store.cert, *store.additional_certs]
    return [link.certificate.subject.rfc4514_string() for link in chain]


WHERE = {
    "fields": (FIELDS, {}),
    "files": ({"password": PASSWORD}, {"tls.key": LEAF.key_pem.encode(), "tls.crt": LEAF.pem.encode()}),
    "one file": ({"password": PASSWORD}, {"all.pem": (LEAF.pem + "\n" + LEAF.key_pem).encode()}),
    "windows lines": ({"password": PASSWORD, "a": (LEAF.key_pem + LEAF.pem).replace("\n", "\r\n")}, {}),
    "twice": (FIELDS, {"tls.key": LEAF.key_pem.encode(), "tls.pem": b"Bag Attributes\n" + LEAF.pem.encode()}),
    "beside binary": (FIELDS, {"photo.jpg": b"\xff\xd8\x00"}),
}


@pytest.mark.parametrize(("fields", "files"), WHERE.values(), ids=WHERE.keys())
def test_key_and_certificate_wherever_they_are(fields: dict[str, Any], files: dict[str, bytes]) -> None:
    """Key and certificate are found in fields and files, in any order, once each."""
    store = pkcs12.load_pkcs12(render(fields, files), PASSWORD.encode())
    assert store.key is not None
    assert store.key.public_key() == LEAF.key.public_key()
    assert names(store) == ["CN=leaf"]
    assert store.cert is not None
    assert store.cert.friendly_name == TITLE.encode()


def test_chain_in_order() -> None:
    """Issuers follow the certificate, however they were attached; a stranger's certificate stays out."""
    files = {"chain.pem": (ROOT.pem + issue("stranger").pem + MIDDLE.pem).encode()}
    assert names(pkcs12.load_pkcs12(render(FIELDS, files), PASSWORD.encode())) == ["CN=leaf", "CN=middle", "CN=root"]


def test_encrypted_key() -> None:
    """An encrypted key is opened with the record's password."""
    locked = LEAF.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(PASSWORD.encode()),
    )
    store = pkcs12.load_pkcs12(render({"password": PASSWORD, "crt": LEAF.pem}, {"k.pem": locked}), PASSWORD.encode())
    assert store.key is not None
    with pytest.raises(FormatError, match="cannot be decrypted with the field password"):
        render({"password": "another", "crt": LEAF.pem}, {"k.pem": locked})


NOT_BASE64 = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
X25519 = x25519.X25519PrivateKey.generate().private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
REFUSED = {
    "no key": ({"keyPair": None}, "has 0 PEM private keys"),
    "two keys": ({"other": MIDDLE.key_pem}, "has 2 PEM private keys"),
    "no certificate": ({"certificate": ""}, "none of 0 PEM certificates belongs to the private key"),
    "another's certificate": ({"certificate": ROOT.pem}, "none of 1 PEM certificates belongs"),
    "damaged certificate": ({"chain": NOT_BASE64}, "a certificate cannot be read; attach it as PEM"),
    "damaged key": (
        {"keyPair": LEAF.key_pem.replace("\nMI", "\nQQ")},
        "the private key cannot be read; attach an unencrypted PKCS #8 PEM",
    ),
    "key that signs nothing": ({"keyPair": X25519.decode()}, "has an unsupported type"),
    "no password": ({"password": ""}, "the field password is missing, and Java needs it; add it in Keeper"),
    "two passwords": ({"password": [PASSWORD, "b"]}, "the field password is missing"),
    "password with NUL": ({"password": f"{PASSWORD}\0"}, "characters that Java does not accept"),
    "password beyond ASCII": ({"password": f"{PASSWORD}é"}, "characters that Java does not accept"),
}


@pytest.mark.parametrize(("fields", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_incomplete_store(fields: dict[str, Any], said: str) -> None:
    """What is missing or unusable is named; keys and passwords are not."""
    with pytest.raises(FormatError, match=rf"^record 'Prod TLS': .*{said}") as caught:
        render(FIELDS | fields)
    assert PASSWORD not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_not_repeatable_and_says_so() -> None:
    """Two stores of equal content differ in their salts, and the registry says so."""
    assert render(FIELDS) != render(FIELDS)
    assert not formats.FORMATS["pkcs12"].repeatable


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has not installed the extra is told its name; every other format works without it."""
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.serialization", None)
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.serialization.pkcs12", None)
    with pytest.raises(FormatError, match=r"install keeper-injector-common\[pkcs12\]$"):
        render(FIELDS)


def test_formats_do_not_load_libraries() -> None:
    """Importing all formats loads neither cryptography nor PyYAML: who needs neither has neither in memory."""
    script = "import sys, keeper_injector_common.records.formats; print({'cryptography', 'yaml'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    assert done.stdout == "set()\n"


def run(*command: str, folder: Path) -> str:
    """Return what a *command* prints."""
    return subprocess.run(command, capture_output=True, check=True, text=True, cwd=folder).stdout


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_reads_it(tmp_path: Path) -> None:
    """OpenSSL opens the store with the record's password."""
    (tmp_path / "store.p12").write_bytes(render(FIELDS))
    said = run(*["openssl", "pkcs12", "-in", "store.p12", "-nodes", "-passin"], f"pass:{PASSWORD}", folder=tmp_path)
    assert LEAF.pem.strip() in said
    assert "friendlyName: Prod TLS" in said


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
def test_java_reads_it(tmp_path: Path) -> None:
    """Java opens the store with the record's password, and has the key and the whole chain."""
    files = {"chain.pem": (ROOT.pem + MIDDLE.pem).encode()}
    (tmp_path / "store.p12").write_bytes(render(FIELDS, files))
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


PROPERTIES = """
import java.io.*; import java.util.*;
class Properties_ {
    public static void main(String[] arguments) throws Exception {
        Properties read = new Properties();
        try (InputStream file = new FileInputStream(arguments[0])) { read.load(file); }
        Base64.Encoder base64 = Base64.getEncoder();
        for (String name : read.stringPropertyNames())
            System.out.println("=" + base64.encodeToString(name.getBytes("UTF-8"))
                + " =" + base64.encodeToString(read.getProperty(name).getBytes("UTF-8")));
    }
}
"""


@pytest.mark.skipif(shutil.which("javac") is None, reason="no Java development kit is installed")
def test_java_reads_properties(tmp_path: Path) -> None:
    """Java's own class reads every name and value as they were, line breaks, byte order mark and emoji too."""
    odd = [
        " ",
        "  a ",
        "=",
        ":",
        "#",
        "!",
        "\\",
        "\\n",
        "\n",
        "\r\n",
        "\t\f\0",
        "é",
        "\ufeff",
        "😀",
        "\u2028",
        "a=b",
        "\x7f",
    ]
    fields = {f"name {value}": value for value in odd} | dict.fromkeys(odd, "value")
    (tmp_path / "file.properties").write_bytes(formats.write_content("properties", formats.RecordContent("t", fields)))
    (tmp_path / "Read.java").write_text(PROPERTIES)
    lines = run("java", "Read.java", "file.properties", folder=tmp_path).splitlines()
    pairs = [[base64.b64decode(part[1:]).decode() for part in line.split(" ")] for line in lines]
    assert {name: value for name, value in pairs} == fields  # noqa: C416 - pairs are lists
