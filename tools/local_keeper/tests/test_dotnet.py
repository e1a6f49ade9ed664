"""What Keeper's .NET SDK 17.1.2 requires of answers, checked without .NET: no toolchain is on the machines that run these tests.

The tables were written from the SDK's source (``sdk/dotNet/SecretsManager`` of Keeper-Security/secrets-manager at 8a93aa7). It reads answers
with System.Text.Json and its defaults: names are case-sensitive, what is not in a class is ignored, a number is never read from a
string, and null is an error for a number or a boolean. It decodes ciphertexts with ``Convert.FromBase64String``: the standard alphabet, padded.

The SDK cannot be pointed at local Keeper unchanged: it has a table of Keeper's keys 7 to 18, and ignores ``serverPublicKey``.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from local_keeper import LocalKeeper, Vault, crypto
from local_keeper.app import _CLIENT_VERSION
from local_keeper.operations import perform
from local_keeper.vault import Device

TEXT, INTEGER, BOOLEAN, CIPHERTEXT = "text", "integer", "boolean", "ciphertext"
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
OPTIONAL = "?"
"""After a kind: null is allowed, and the SDK checks for it."""

FILE = {
    "fileUid": TEXT,
    "fileKey": CIPHERTEXT,  # decrypted without a check for null
    "data": CIPHERTEXT,
    "url": TEXT,  # requested as it is
    "thumbnailUrl": TEXT + OPTIONAL,
}
RECORD = {
    "recordUid": TEXT,
    "recordKey": CIPHERTEXT,
    "data": CIPHERTEXT,
    "revision": INTEGER,  # long
    "isEditable": BOOLEAN,  # bool
    "files": [FILE],
    "innerFolderUid": TEXT + OPTIONAL,
    "links": [{"recordUid": TEXT, "data": TEXT + OPTIONAL, "path": TEXT + OPTIONAL}],
}
ANSWERS: dict[str, Any] = {
    "get_secret": {
        "appData": TEXT,  # decoded with either alphabet
        "encryptedAppKey": CIPHERTEXT + OPTIONAL,  # a ciphertext means that the client has just been bound
        "appOwnerPublicKey": TEXT + OPTIONAL,
        "expiresOn": INTEGER,  # long
        "warnings": [TEXT],
        "records": [RECORD],
        "folders": [
            {
                "folderUid": TEXT,
                "folderKey": CIPHERTEXT,
                "data": TEXT + OPTIONAL,
                "parent": TEXT + OPTIONAL,
                "records": [RECORD],  # the loop has no check for null
            }
        ],
    },
    "get_folders": {
        "folders": [{"folderUid": TEXT, "folderKey": CIPHERTEXT, "data": CIPHERTEXT, "parent": TEXT + OPTIONAL}],
    },
    "add_file": {"url": TEXT, "parameters": TEXT, "successStatusCode": INTEGER},  # int
}
"""The properties that the SDK uses, by operation. A list may be null, except where a comment says that the loop does not check."""
FIELD = {"type": TEXT + OPTIONAL, "label": TEXT + OPTIONAL, "value": list}
FLAGS = ("required", "privacyScreen", "enforceGeneration")
"""Of a field: a boolean, a number, or the text of one; null and absence are allowed."""
FILE_DATA = {"title": TEXT, "name": TEXT, "type": TEXT, "size": INTEGER, "lastModified": INTEGER}


def problems(value: Any, shape: Any, where: str) -> list[str]:
    """Return where a value differs from a shape."""
    match shape:
        case dict():
            if not isinstance(value, dict):
                return [f"{where} is not an object"]
            return [
                found for name, inner in shape.items() for found in problems(value.get(name), inner, f"{where}.{name}")
            ]
        case [inner]:
            if value is None:
                return [f"{where} is null"] if where.endswith("folders[].records") else []
            return [found for item in value for found in problems(item, inner, f"{where}[]")]
        case str():
            if value is None and shape.endswith(OPTIONAL):
                return []
            return [] if _is_a(shape.removesuffix(OPTIONAL), value) else [f"{where} is not {shape}: {value!r}"]
        case _:
            return [] if isinstance(value, shape) else [f"{where} is not {shape.__name__}: {value!r}"]


def _is_a(kind: str, value: Any) -> bool:
    match kind:
        case "text":
            return isinstance(value, str)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63
        case "boolean":
            return isinstance(value, bool)
        case _:
            # Convert.FromBase64String takes no other alphabet and requires the padding.
            return isinstance(value, str) and len(value) % 4 == 0 and bool(_BASE64.fullmatch(value))


def answer(vault: Vault, operation: str, device: Device | None = None, **payload: Any) -> Any:
    """Perform an operation, and return its answer as a client reads it from JSON."""
    done = perform(
        operation, vault, device or Device("x", confirmed=True), payload, lambda file: f"https://localhost/{file.uid}"
    )
    return json.loads(json.dumps(done, allow_nan=False))


def sample() -> Vault:
    """Return the sample vault with the rare parts too: warnings, shortcuts, a record outside its folder."""
    with LocalKeeper.start() as keeper:
        keeper.add_shortcut("redis", "Staging")
        keeper.add_shortcut("redis")
        keeper.vault.find("shared-token").flat = True
        keeper.vault.warnings.append("a warning")
        return keeper.vault


def test_the_shapes_find_what_the_sdk_rejects() -> None:
    """A test of the test: each kind of mistake is found, in the place where it is."""
    good = answer(sample(), "get_secret")
    assert problems(good, ANSWERS["get_secret"], "get_secret") == []
    broken: list[tuple[str, Any]] = [
        ("revision", "1"),
        ("revision", None),
        ("revision", 1.5),
        ("isEditable", None),
        ("recordKey", "a-_b"),
        ("data", "YWI"),
        ("files", [{}]),
    ]
    for name, value in broken:
        record = {**good["records"][0], name: value}
        assert problems({**good, "records": [record]}, ANSWERS["get_secret"], "get_secret"), (name, value)
    assert problems({**good, "folders": [{**good["folders"][0], "records": None}]}, ANSWERS["get_secret"], "") != []


def test_the_answers_of_a_bound_client_have_the_shapes() -> None:
    """Records, folders, files and links, with the rare parts."""
    vault = sample()
    for operation in ("get_secret", "get_folders"):
        assert problems(answer(vault, operation), ANSWERS[operation], operation) == []


def test_the_first_answer_of_a_token_has_the_shapes() -> None:
    """The application's key is a ciphertext then, and in the next answer it is null."""
    vault = sample()
    device = vault.devices[crypto.client_id(crypto.unb64(vault.new_token()))]
    first = answer(vault, "get_secret", device, publicKey="x")
    assert problems(first, ANSWERS["get_secret"], "get_secret") == []
    assert crypto.ungcm(device.token, base64.b64decode(first["encryptedAppKey"], validate=True)) == vault.app_key
    assert answer(vault, "get_secret", device)["encryptedAppKey"] is None


def test_a_shared_folder_comes_before_the_folders_in_it() -> None:
    """The SDK looks for the key of the shared folder among the folders that it has read so far, up the parents."""
    vault = Vault.from_yaml("folders: [{name: a, folders: [{name: b, folders: [{name: c}]}]}, {name: d}]")
    vault.folders = dict(reversed(vault.folders.items()))
    seen: set[str] = set()
    for folder in answer(vault, "get_folders")["folders"]:
        assert folder["parent"] is None or vault.shared_root(folder["parent"]).uid in seen
        seen.add(folder["folderUid"])


SCALARS = st.one_of(st.booleans(), st.integers(-(2**31), 2**31), st.text(max_size=5), st.floats(-10, 10))
NAMES = st.one_of(st.text(min_size=1, max_size=5), st.integers(0, 99), st.booleans())


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(NAMES, st.one_of(SCALARS, st.lists(SCALARS, max_size=2), st.none()), max_size=4), NAMES)
def test_each_record_that_a_vault_can_hold_has_the_shapes(custom: dict[Any, Any], title: Any) -> None:
    """YAML has numbers and booleans as names and titles; clients get text, or the SDK skips the record."""
    vault = Vault()
    uid = vault.add_record({"title": title, "custom": custom, "fields": [{"type": 1, "label": 2, "value": 3}]})
    record = vault.records[uid]
    data = json.loads(record.plaintext)
    assert problems(data, {"title": TEXT, "type": TEXT, "fields": [FIELD], "custom": [FIELD]}, "data") == []
    assert isinstance(data["fields"], list)  # the SDK joins both lists without a check for null
    assert isinstance(data["custom"], list)
    assert problems(answer(vault, "get_secret"), ANSWERS["get_secret"], "get_secret") == []


def test_the_sample_has_flags_that_are_booleans() -> None:
    """And the data of its files is what the SDK's class has."""
    for record in sample().records.values():
        fields = [*record.data["fields"], *record.data["custom"]]
        assert all(isinstance(field.get(flag, False), bool) for field in fields for flag in FLAGS)
    secret = answer(sample_with_file := sample(), "get_secret")
    for item in (found for record in secret["records"] for found in record["files"]):
        owner = next(
            file for record in sample_with_file.records.values() for file in record.files if file.uid == item["fileUid"]
        )
        assert problems(json.loads(crypto.ungcm(owner.key, crypto.unb64(item["data"]))), FILE_DATA, "file") == []


@pytest.mark.parametrize(
    ("value", "found"),
    [("2024-01-01", "date"), (".nan", "not JSON compliant"), ("!!binary aGk=", "bytes")],
    ids=["date", "NaN", "bytes"],
)
def test_a_value_that_is_not_json_is_found_at_the_start(value: str, found: str) -> None:
    """Otherwise each later request would fail, or its answer would not be JSON."""
    with pytest.raises(ValueError, match=rf"record 'one': (?i:.*{found}).*quote"):
        Vault.from_yaml(f"records: [{{title: one, fields: {{date: {value}}}}}]")


def test_an_upload_in_the_sdks_form_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The form begins with an empty line, its file has no name, and the status must be the announced one."""
    with LocalKeeper.start() as keeper:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(keeper.ca_file))
        vault, owner = keeper.vault, keeper.vault.find("api-keys")
        key, public = bytes(32), keeper.vault.owner.public_key()
        announced = perform(
            "add_file",
            vault,
            Device("x", confirmed=True),
            {
                "ownerRecordUid": owner.uid,
                "fileRecordUid": "file",
                "fileRecordKey": crypto.b64(crypto.ecies_encrypt(public, key)),
                "fileRecordData": crypto.b64url(crypto.gcm(key, b'{"name":"a.txt","title":"a","size":2}')),
                "linkKey": crypto.b64(crypto.gcm(owner.key, key)),
                "ownerRecordData": crypto.b64url(crypto.gcm(owner.key, owner.plaintext)),
                "ownerRecordRevision": owner.revision,
                "fileSize": 30,
            },
            keeper.state.file_url,
        )
        assert announced is not None
        assert problems(announced, ANSWERS["add_file"], "add_file") == []
        parameters = json.loads(announced["parameters"])
        assert all(isinstance(value, str) for value in parameters.values())
        boundary = "----------8dee3a1b2c3d4e5"
        parts = [
            f'\r\n--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}'
            for name, value in parameters.items()
        ]
        head = f'\r\n--{boundary}\r\nContent-Disposition: form-data; name="file"\r\nContent-Type: application/octet-stream\r\n\r\n'
        body = "".join(parts).encode() + head.encode() + crypto.gcm(key, b"hi") + f"\r\n--{boundary}--\r\n".encode()
        form = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        done = requests.post(announced["url"], body, headers=form, timeout=10)
        assert done.status_code == announced["successStatusCode"]
        assert vault.find("api-keys").files[-1].content == b"hi"


def test_errors_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK repeats a request with the number in ``key_id``, which must not be text."""
    with LocalKeeper.start() as keeper:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(keeper.ca_file))
        sent = requests.post(f"{keeper.url}/api/rest/sm/v1/get_secret", headers={"PublicKeyId": "7"}, timeout=10)
    assert problems(sent.json(), {"error": TEXT, "key_id": INTEGER}, "error") == []
    assert (sent.status_code, sent.json()["error"]) == (401, "key")


def test_the_sdks_version_is_accepted() -> None:
    """It sends ``mn`` and three numbers of its assembly."""
    assert _CLIENT_VERSION.fullmatch("mn17.1.2")
