"""The unmodified Python SDK against local Keeper, operation by operation."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import requests
from cryptography.exceptions import InvalidTag
from keeper_secrets_manager_core import SecretsManager
from keeper_secrets_manager_core.core import CreateOptions
from keeper_secrets_manager_core.dto.dtos import KeeperFileUpload, RecordCreate, RecordField
from keeper_secrets_manager_core.exceptions import KeeperError
from keeper_secrets_manager_core.storage import InMemoryKeyValueStorage
from requests import RequestException

from local_keeper import Fault, LocalKeeper, app


@pytest.fixture(name="keeper")
def _keeper(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalKeeper]:
    with LocalKeeper.start() as keeper:
        # File downloads of the SDK take their trust from here only.
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(keeper.ca_file))
        yield keeper


def client(keeper: LocalKeeper, device: str = "default") -> SecretsManager:
    """Return the SDK with a bound configuration."""
    return SecretsManager(config=InMemoryKeyValueStorage(keeper.config(device)))


def record(sdk: SecretsManager, title: str) -> Any:
    """Return the record of a title."""
    return next(item for item in sdk.get_secrets() if item.title == title)


def test_records_with_fields_notes_and_files(keeper: LocalKeeper) -> None:
    """Everything of the sample vault arrives as written."""
    sdk = client(keeper)
    database = record(sdk, "database-credentials")
    assert database.get_standard_field_value("password", single=True) == "correct-horse-battery"
    assert database.get_standard_field_value("host", single=True) == {"hostName": "db.example.com", "port": "5432"}
    assert database.custom_field("Environment", single=True) == "production"
    assert database.dict["notes"].startswith("Rotated on")
    certificate = next(item for item in record(sdk, "TLS Certs").files if item.name == "server.pem")
    assert certificate.get_file_data() == b"made-up certificate\n"


def test_filters_and_notation(keeper: LocalKeeper) -> None:
    """A filtered fetch returns only what was asked for; notation works by UID and by title."""
    sdk = client(keeper)
    uid = keeper.uid("api-keys")
    assert [item.title for item in sdk.get_secrets([uid])] == ["api-keys"]
    assert sdk.get_notation_results(f"keeper://{uid}/field/login") == ["billing"]
    assert sdk.get_notation_results("keeper://api-keys/custom_field/webhook key") == ["whk-0815"]


def test_folders_know_their_parents(keeper: LocalKeeper) -> None:
    """Nested folders arrive with names, and records with the folder they lie in."""
    folders = {folder.folder_uid: folder for folder in client(keeper).get_folders()}
    nested = [folder for folder in folders.values() if folder.name == "Databases"]
    assert sorted(folders[folder.parent_uid].name for folder in nested) == ["Production", "Staging"]
    redis = record(client(keeper), "redis")
    assert folders[redis.inner_folder_uid].name == "Databases"


def test_a_one_time_token_binds_once(keeper: LocalKeeper) -> None:
    """The first device gets the application's key; a second one with the same token is refused."""
    token = keeper.token()
    server = {"server_public_key": keeper.server_public_key, "server_public_key_id": keeper.server_key_id}
    storage = InMemoryKeyValueStorage()
    first = SecretsManager(token=token, hostname=keeper.hostname, config=storage, **server)
    assert len(first.get_secrets()) == len(client(keeper).get_secrets())
    assert {"appKey", "clientId", "privateKey"} <= set(storage.read_storage())
    second = SecretsManager(token=token, hostname=keeper.hostname, config=InMemoryKeyValueStorage(), **server)
    with pytest.raises(KeeperError, match="Signature is invalid"):
        second.get_secrets()


def test_create_update_and_delete(keeper: LocalKeeper) -> None:
    """What one client writes another reads; an old revision is refused."""
    sdk = client(keeper)
    folder = next(item for item in sdk.get_folders() if item.name == "Production")
    content = RecordCreate("login", "made-here")
    content.fields = [RecordField(field_type="login", value="me"), RecordField(field_type="password", value="one")]
    uid = sdk.create_secret_with_options(CreateOptions(folder.folder_uid, None), content)
    other = client(keeper, "other")
    (made,) = other.get_secrets([uid])
    made.set_standard_field_value("password", "two")
    other.save(made)
    assert record(sdk, "made-here").get_standard_field_value("password", single=True) == "two"
    with pytest.raises(KeeperError, match="out_of_sync"):
        other.save(made)
    sdk.delete_secret(uid)
    assert other.get_secrets([uid]) == []


def test_upload_and_download(keeper: LocalKeeper) -> None:
    """An uploaded file comes back byte for byte, with its title and media type."""
    sdk = client(keeper)
    upload = KeeperFileUpload(name="new.bin", title="A title", mime_type="text/plain", data=b"\0\1\2")
    sdk.upload_file(record(sdk, "api-keys"), upload)
    (file,) = record(sdk, "api-keys").files
    assert (file.name, file.title, file.type, file.get_file_data()) == ("new.bin", "A title", "text/plain", b"\0\1\2")
    keeper.fault(Fault.http(503), "file_upload")
    with pytest.raises(KeeperError, match="upload"):
        sdk.upload_file(record(sdk, "api-keys"), upload)


def test_folders_are_made_renamed_and_removed(keeper: LocalKeeper) -> None:
    """The folder operations of the SDK round-trip."""
    sdk = client(keeper)
    root = next(item for item in sdk.get_folders() if item.name == "Production")
    uid = sdk.create_folder(CreateOptions(root.folder_uid, None), "made-here")
    sdk.update_folder(uid, "renamed")
    assert "renamed" in {item.name for item in sdk.get_folders()}
    sdk.delete_folder([uid])
    assert "renamed" not in {item.name for item in sdk.get_folders()}


def test_changes_are_seen_at_once(keeper: LocalKeeper) -> None:
    """Fields, notes, files and records can be changed while the server runs."""
    sdk = client(keeper)
    before = record(sdk, "api-keys").revision
    keeper.set_field("api-keys", "password", "rotated")
    keeper.set_notes("api-keys", "noted")
    keeper.set_file("api-keys", "a.txt", b"text")
    after = record(sdk, "api-keys")
    assert after.get_standard_field_value("password", single=True) == "rotated"
    assert (after.dict["notes"], after.files[0].name) == ("noted", "a.txt")
    assert after.revision > before
    keeper.remove_record("api-keys")
    assert "api-keys" not in {item.title for item in sdk.get_secrets()}
    uid = keeper.add_record({"title": "added", "type": "login", "fields": {"login": "x"}})
    assert sdk.get_secrets([uid])[0].title == "added"


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        (Fault.revoked(), KeeperError, "access_denied"),
        (Fault.api_error("internal", "sorry", 500), KeeperError, "sorry"),
        (Fault.throttled(429, 5), RequestException, "429"),
        (Fault.cut(), RequestException, "Connection broken"),
        (Fault.truncate(), RequestException, "Connection broken"),
        (Fault.corrupt(), InvalidTag, "^$"),
    ],
    ids=["revoked", "server error", "throttled by the edge", "cut", "truncated", "corrupt"],
)
def test_faults_reach_the_client(keeper: LocalKeeper, fault: Fault, error: type[Exception], message: str) -> None:
    """Each fault is what the SDK meets, once, and the next request works."""
    sdk = client(keeper)
    keeper.fault(fault, "get_secret")
    with pytest.raises(error, match=message):
        sdk.get_secrets()
    assert sdk.get_secrets()


def test_an_empty_answer_looks_like_no_records(keeper: LocalKeeper) -> None:
    """The SDK takes it for success: a trap for its users."""
    keeper.fault(Fault.empty(), "get_secret")
    assert client(keeper).get_secrets() == []


def test_an_undecryptable_record_takes_its_folder_with_it(keeper: LocalKeeper) -> None:
    """The SDK drops the whole folder: another trap."""
    sdk = client(keeper)
    keeper.corrupt_record("redis")
    titles = {item.title for item in sdk.get_secrets()}
    assert "shared-token" not in titles
    assert "api-keys" in titles


def test_the_server_may_change_its_key_id(keeper: LocalKeeper) -> None:
    """The SDK follows the new id and keeps it."""
    storage = InMemoryKeyValueStorage(keeper.config())
    keeper.rotate_server_key()
    assert SecretsManager(config=storage).get_secrets()
    assert storage.read_storage()["serverPublicKeyId"] == keeper.server_key_id


def test_revoked_devices_and_outages(keeper: LocalKeeper) -> None:
    """One device is refused, another is not; an outage refuses all until it is over."""
    keeper.revoke("default")
    with pytest.raises(KeeperError, match="Unable to validate application access"):
        client(keeper).get_secrets()
    other = client(keeper, "other")
    keeper.outage(60)
    with pytest.raises(RequestException, match="503"):
        other.get_secrets()
    keeper.clear_faults()
    assert other.get_secrets()


def test_the_throttle_rule(keeper: LocalKeeper) -> None:
    """Too many requests of one client are refused, those of another are not."""
    keeper.throttle_rule(limit=3)
    sdk = client(keeper)
    sdk.post_function = _no_waiting(sdk.post_function)
    for _ in range(3):
        sdk.get_secrets()
    with pytest.raises(RuntimeError, match="throttled"):
        sdk.get_secrets()
    assert client(keeper, "other").get_secrets()


def _no_waiting(post: Any) -> Any:
    """The SDK would sleep for minutes: stop at the first refusal."""

    def wrapper(*args: Any) -> Any:
        answer = post(*args)
        if answer.status_code == 403:
            raise RuntimeError(json.loads(answer.data)["error"])
        return answer

    return wrapper


def test_requests_are_counted(keeper: LocalKeeper) -> None:
    """By operation, refused ones too."""
    sdk = client(keeper)
    sdk.get_secrets()
    sdk.get_folders()
    record(sdk, "TLS Certs").files[0].get_file_data()
    assert keeper.requests == {"get_secret": 2, "get_folders": 1, "file_download": 1}
    keeper.reset_requests()
    assert keeper.requests == {}


def test_a_configuration_is_what_keeper_shows(keeper: LocalKeeper, tmp_path: Path) -> None:
    """Base64 of JSON, the form that people paste into Secrets; the CA is a file."""
    assert json.loads(base64.b64decode(keeper.config())) == keeper.config_dict()
    assert keeper.ca_file.read_text(encoding="utf-8").startswith("-----BEGIN CERTIFICATE")
    with LocalKeeper.start("records: [{title: only}]", directory=tmp_path / "state") as own:
        assert own.vault.titles() == ["only"]


def test_a_record_in_several_folders_arrives_several_times(keeper: LocalKeeper) -> None:
    """Once for each folder, and again if it is also shared by itself: the SDK does not join them."""
    uid = keeper.uid("redis")
    keeper.add_shortcut("redis", "Staging")
    keeper.add_shortcut("redis")
    copies = [item for item in client(keeper).get_secrets() if item.uid == uid]
    shared = {keeper.vault.find_folder(name).uid for name in ("Production", "Staging")}
    assert sorted(item.folder_uid for item in copies) == sorted(["", *shared])


@pytest.mark.parametrize("damage", ["key", "no key", "name", "parent"])
def test_a_damaged_folder_fails_all_of_the_sdk(keeper: LocalKeeper, damage: Any) -> None:
    """The SDK reads all folders or none; the records are sent as ever."""
    keeper.damage_folder("Databases", damage)
    with pytest.raises((KeeperError, InvalidTag, ValueError, TypeError, AttributeError)):
        client(keeper).get_folders()
    assert record(client(keeper), "redis")


def test_an_answer_has_the_time(keeper: LocalKeeper) -> None:
    """Clients take the time from the ``Date`` of Keeper's answers, of errors too (RFC 9110, section 6.6.1)."""
    sent = requests.post(f"{keeper.url}/api/rest/sm/v1/get_secret", timeout=10)
    assert sent.status_code == 401
    assert abs(parsedate_to_datetime(sent.headers["Date"]) - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_download_is_repeated_byte_for_byte(keeper: LocalKeeper) -> None:
    """Before and after a restart of the client, the same file is the same ciphertext."""
    sdk = client(keeper)
    sdk.upload_file(record(sdk, "api-keys"), KeeperFileUpload(name="n", title="n", mime_type="text/plain", data=b"n"))
    for title in ("api-keys", "TLS Certs"):
        address = record(sdk, title).files[0].f["url"]
        assert len({requests.get(address, timeout=10).content for _ in range(2)}) == 1


def test_an_upload_is_answered_with_xml(keeper: LocalKeeper) -> None:
    """As by Amazon S3: Go's SDK takes an empty body for a failure. Mistakes are XML too."""
    sdk = client(keeper)
    sdk.upload_file(record(sdk, "api-keys"), KeeperFileUpload(name="n", title="n", mime_type="text/plain", data=b"n"))
    (file,) = keeper.vault.find("api-keys").files
    address = keeper.state.file_url(file)
    content = file.sealed.part("content", file.key, file.content)
    cases: list[tuple[dict[str, str | bytes], int, str]] = [
        ({"key": file.uid, "file": content}, 201, "PostResponse"),
        ({"key": "none", "file": content}, 404, "Error"),
        ({"key": file.uid, "file": b"not a ciphertext"}, 400, "Error"),
        ({"key": file.uid}, 400, "Error"),
    ]
    for parts, status, tag in cases:
        answer = requests.post(address, files={name: (None, part) for name, part in parts.items()}, timeout=10)
        assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/xml")
        assert ET.fromstring(answer.content).tag == tag
    assert file.content == b"n"


@pytest.mark.parametrize("path", ["/api/rest/sm/v1/get_secret", "/files/none"])
def test_a_body_has_a_limit(keeper: LocalKeeper, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """A longer body is refused, with its length in the header or without; one of the longest length is read."""
    monkeypatch.setattr(app, "MAXIMUM_BODY", 1000)
    for size, refused in ((1000, False), (1001, True)):
        for body in (b"x" * size, iter([b"x" * 500, b"x" * (size - 500)])):
            answer = requests.post(keeper.url + path, body, timeout=10)
            assert (answer.status_code == 413) == refused
    assert client(keeper).get_secrets()


def test_unknown_operations_share_one_count(keeper: LocalKeeper) -> None:
    """Names that clients make up do not fill the server's memory."""
    for number in range(5):
        requests.post(f"{keeper.url}/api/rest/sm/v1/made-up-{number}", timeout=10)
    assert keeper.requests == {"unknown": 5}
    assert keeper.state.log.latest()[0].operation == "made-up-4"
