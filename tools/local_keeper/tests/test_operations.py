"""Operations whose answers the Python SDK alone would not check, and changes that must not break later requests."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_keeper import LocalKeeper, Vault, crypto
from local_keeper.operations import ApiError, perform
from local_keeper.vault import Device, File, Folder

FOLDERS = ["a", "b", "c", "d"]


def answer(vault: Vault, operation: str, **payload: Any) -> Any:
    """Perform an operation of a bound device."""
    return perform(
        operation, vault, Device("client", confirmed=True), payload, lambda file: f"https://files/{file.uid}"
    )


def put(vault: Vault, uid: str, content: dict[str, Any], **more: Any) -> None:
    """Update a record as clients do."""
    record = vault.records[uid]
    data = crypto.b64(crypto.gcm(record.key, json.dumps(content).encode()))
    answer(vault, "update_secret", recordUid=uid, revision=record.revision, data=data, **more)


@pytest.fixture(name="vault")
def _vault() -> Vault:
    """A folder in a shared folder, with one record and its file."""
    vault = Vault.from_yaml("folders: [{name: a, uid: a, folders: [{name: b, uid: b}]}]")
    vault.add_record({"title": "one", "uid": "one", "files": {"x.txt": "x", "y.txt": "y"}}, "b")
    return vault


def test_absent_values_are_null(vault: Vault) -> None:
    """Java requires the fields, and Go decrypts a folder as nested unless its parent is null."""
    secrets, folders = answer(vault, "get_secret"), answer(vault, "get_folders")["folders"]
    assert {secrets[name] for name in ("encryptedAppKey", "appOwnerPublicKey", "warnings")} == {None}
    assert secrets["folders"][0]["parent"] is None
    assert answer(vault, "get_folders").items() >= {"encryptedAppKey": None, "records": None}.items()
    assert [(folder["parent"], folder["records"]) for folder in folders] == [(None, None), ("a", None)]


def test_the_keys_of_a_first_request_are_padded(vault: Vault) -> None:
    """The application's key and the owner's public key are standard base64; the application's data is URL-safe."""
    device = vault.devices[crypto.client_id(crypto.unb64(vault.new_token()))]
    for _ in range(20):  # the alphabets differ in a few characters only
        first = perform("get_secret", vault, device, {"publicKey": "x"}, lambda file: file.uid)
        assert first is not None
        for name in ("encryptedAppKey", "appOwnerPublicKey"):
            assert len(first[name]) % 4 == 0
            assert not {"-", "_"} & set(first[name])
        assert not {"+", "/", "="} & set(first["appData"])
        vault.app_key = crypto.gcm(device.token, b"")[:16] * 2


def test_a_rollback_restores_fields_and_files(vault: Vault) -> None:
    """The content before the first of several updates of one transaction is back, with a new revision."""
    record = vault.records["one"]
    before, files, revision = record.data, list(record.files), record.revision
    put(vault, "one", {"title": "two"}, transactionType="rotation", links2Remove=[files[0].uid])
    put(vault, "one", {"title": "three"}, transactionType="rotation")
    assert (record.title, record.files) == ("three", files[1:])
    answer(vault, "rollback_secret_update", recordUid="one")
    assert (record.data, record.files) == (before, files)
    assert record.revision > revision


def test_a_finalized_update_cannot_be_rolled_back(vault: Vault) -> None:
    """Neither can one without a transaction."""
    put(vault, "one", {"title": "two"}, transactionType="general")
    answer(vault, "finalize_secret_update", recordUid="one")
    with pytest.raises(ApiError, match="no update"):
        answer(vault, "rollback_secret_update", recordUid="one")
    put(vault, "one", {"title": "three"}, transactionType="rotation")
    put(vault, "one", {"title": "four"})
    with pytest.raises(ApiError, match="no update"):
        answer(vault, "rollback_secret_update", recordUid="one")
    assert vault.records["one"].title == "four"


@pytest.mark.parametrize("uid", ["a", "b"], ids=["with a folder that has a record", "with a record"])
def test_a_folder_with_content_is_not_deleted(vault: Vault, uid: str) -> None:
    """The answer says so, and everything is still there."""
    (result,) = answer(vault, "delete_folder", folderUids=[uid])["folders"]
    assert (result["responseCode"], "contains records or folders" in result["errorMessage"]) == ("not_empty", True)
    assert set(vault.folders) == {"a", "b"}
    (result,) = answer(vault, "delete_folder", folderUids=[uid], forceDeletion=True)["folders"]
    assert (result["responseCode"], vault.records) == ("ok", {})


def test_an_unknown_folder_is_not_reported_as_deleted(vault: Vault) -> None:
    """A wrong UID has its own answer, beside the others."""
    results = answer(vault, "delete_folder", folderUids=["a", "none", "b"], forceDeletion=True)["folders"]
    assert [item["responseCode"] for item in results] == ["ok", "access_denied", "ok"]


def test_a_shortcut_to_an_unknown_folder_is_found_at_the_start() -> None:
    """Otherwise each request would fail."""
    with pytest.raises(ValueError, match="record 'one': no folder has the UID 'none'"):
        Vault.from_yaml("records: [{title: one, shortcuts: [none]}]")


def test_the_sample_has_standard_types_of_fields() -> None:
    """Java's SDK rejects a record with a type of field that it does not know."""

    with LocalKeeper.start() as keeper:
        records = keeper.vault.records.values()
    fields = [field for record in records for field in record.data["fields"]]
    assert "type" not in {field["type"] for field in fields}
    assert {"type": "text", "label": "type", "value": ["postgresql"]} in fields


CHANGES = st.one_of(
    st.tuples(st.just("create"), st.sampled_from(FOLDERS), st.sampled_from(FOLDERS), st.sampled_from(FOLDERS)),
    st.tuples(st.just("delete"), st.lists(st.sampled_from(FOLDERS), max_size=3), st.booleans()),
    st.tuples(st.just("record"), st.sampled_from(FOLDERS), st.lists(st.sampled_from([*FOLDERS, ""]), max_size=2)),
    st.tuples(st.just("garbage"), st.sampled_from(["create_folder", "update_folder", "add_file", "create_secret"])),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(CHANGES, max_size=12))
def test_no_change_of_folders_breaks_later_requests(changes: list[Any]) -> None:
    """Whatever clients create and delete, everything left can be decrypted from its folder's key."""
    vault = Vault()
    vault.folders = {"a": Folder("a", uid="a"), "d": Folder("d", uid="d")}
    for change in changes:
        with contextlib.suppress(ApiError):
            _apply(vault, change)
        secrets, folders = answer(vault, "get_secret"), answer(vault, "get_folders")["folders"]
        assert {folder["folderUid"] for folder in folders} == set(vault.folders)
        sent = [item for folder in secrets["folders"] for item in folder["records"]] + secrets["records"]
        assert {item["recordUid"] for item in sent} == set(vault.records)


def _apply(vault: Vault, change: Any) -> None:
    match change:
        case ("create", uid, shared, parent):
            key = bytes(32)
            root = vault.folders[shared].key if shared in vault.folders else bytes(32)
            answer(
                vault,
                "create_folder",
                folderUid=uid,
                sharedFolderUid=shared,
                parentUid=parent,
                sharedFolderKey=crypto.b64(crypto.cbc(root, key)),
                data=crypto.b64(crypto.cbc(key, b'{"name": "x"}')),
            )
        case ("delete", uids, force):
            answer(vault, "delete_folder", folderUids=uids, forceDeletion=force)
        case ("record", folder, shortcuts):
            if {folder, *shortcuts} - {""} <= set(vault.folders):
                vault.add_record({"title": "r", "shortcuts": shortcuts, "files": {"f": "f"}}, folder)
        case ("garbage", operation):
            owner = next(iter(vault.records), "none")
            uids = dict.fromkeys(("folderUid", "sharedFolderUid", "parentUid", "recordUid", "fileRecordUid"), "a")
            keys = dict.fromkeys(("data", "recordKey", "sharedFolderKey", "fileRecordKey"), "AAAA")
            answer(vault, operation, **uids, **keys, ownerRecordUid=owner)
        case _:
            raise AssertionError(change)


def test_a_file_keeps_its_title_and_media_type() -> None:
    """A file without a title has its name as the title, as clients expect one."""
    vault = Vault()
    vault.add_record({"title": "one", "uid": "one"})
    record = vault.records["one"]
    record.files = [File("a", b""), File("b", b"", title="B", type="text/plain")]
    sent = answer(vault, "get_secret")["records"][0]["files"]
    described = [
        json.loads(crypto.ungcm(file.key, crypto.unb64(item["data"])))
        for file, item in zip(record.files, sent, strict=True)
    ]
    assert [(item["title"], item["type"]) for item in described] == [
        ("a", "application/octet-stream"),
        ("B", "text/plain"),
    ]


def ciphertexts(vault: Vault) -> dict[tuple[str, ...], str]:
    """Return every ciphertext of both answers, by where it is."""
    return {
        where: value
        for answered in ("get_secret", "get_folders")
        for where, value in _leaves(answer(vault, answered), (answered,))
        if where[-1] in {"appData", "recordKey", "data", "folderKey", "fileKey"}
    }


def _leaves(value: Any, where: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    match value:
        case dict():
            own = tuple(str(value[name]) for name in ("folderUid", "recordUid", "fileUid") if name in value)
            for name, inner in value.items():
                yield from _leaves(inner, (*where, *own, name))
        case list():
            for inner in value:
                yield from _leaves(inner, where)
        case _:
            yield where, value


def test_an_answer_repeats_the_ciphertexts_of_the_last(vault: Vault) -> None:
    """Keeper has no key to encrypt again, so its answers can be compared without decryption."""
    first = ciphertexts(vault)
    assert {where[-1] for where in first} == {"appData", "recordKey", "data", "folderKey", "fileKey"}
    assert ciphertexts(vault) == first


CIPHERTEXT_CHANGES: dict[str, tuple[Callable[[Vault], Any], set[tuple[str, ...]]]] = {
    "a field": (
        lambda vault: vault.set_field("one", "password", "new"),
        {("get_secret", "folders", "a", "records", "one", "data")},
    ),
    "a folder's name": (
        lambda vault: setattr(vault.folders["b"], "name", "c"),
        {("get_folders", "folders", "b", "data")},
    ),
    "a shared folder's name": (
        lambda vault: setattr(vault.folders["a"], "name", "c"),
        {("get_folders", "folders", "a", "data"), ("get_secret", "folders", "a", "data")},
    ),
    "the application's name": (lambda vault: setattr(vault, "title", "c"), {("get_secret", "appData")}),
    "another record's field": (
        lambda vault: vault.set_field("two", "login", "new"),
        {("get_secret", "folders", "a", "records", "two", "data")},
    ),
    "nothing": (lambda vault: vault.find("one"), set()),
}


@pytest.mark.parametrize("change", CIPHERTEXT_CHANGES)
def test_a_change_makes_new_ciphertexts_for_itself_only(vault: Vault, change: str) -> None:
    """A client that compares answers sees what has changed, and nothing else."""
    vault.add_record({"title": "two", "uid": "two"}, "b")
    apply, expected = CIPHERTEXT_CHANGES[change]
    before = ciphertexts(vault)
    apply(vault)
    after = ciphertexts(vault)
    assert {where for where in before | after if before.get(where) != after.get(where)} == expected


def test_a_value_that_returns_is_encrypted_again(vault: Vault) -> None:
    """As by a client that changes a value and changes it back: each change has its own ciphertext."""
    seen = set()
    for value in ("a", "b", "a"):
        vault.set_field("one", "password", value)
        seen.add(ciphertexts(vault)["get_secret", "folders", "a", "records", "one", "data"])
    assert len(seen) == 3


def test_a_clients_ciphertexts_come_back_unchanged(vault: Vault) -> None:
    """Records, folders and files are answered as their client has encrypted them, after a rollback too."""
    owner = vault.owner.public_key()
    record_key, folder_key, file_key = (bytes([number]) * 32 for number in (1, 2, 3))
    record = b'{"title": "made", "fields": [],   "custom": []}'
    sent = {
        "recordKey": crypto.gcm(vault.folders["a"].key, record_key),
        "data": crypto.gcm(record_key, record),
        "folderKey": crypto.cbc(vault.folders["a"].key, folder_key),
        "name": crypto.cbc(folder_key, b'{"name":"made"}'),
        "fileKey": crypto.gcm(record_key, file_key),
        "metadata": crypto.gcm(file_key, b'{"name":"f","size":1}'),
        "owner": crypto.gcm(record_key, record),
    }
    text = {name: crypto.b64(value) for name, value in sent.items()}
    answer(
        vault,
        "create_folder",
        folderUid="made",
        sharedFolderUid="a",
        sharedFolderKey=text["folderKey"],
        data=text["name"],
    )
    answer(
        vault,
        "create_secret",
        recordUid="new",
        recordKey=crypto.b64(crypto.ecies_encrypt(owner, record_key)),
        folderUid="a",
        subFolderUid="made",
        folderKey=text["recordKey"],
        data=text["data"],
    )
    where = ("get_secret", "folders", "a", "records", "new")
    assert ciphertexts(vault)[*where, "data"] == text["data"]
    answer(
        vault,
        "add_file",
        ownerRecordUid="new",
        fileRecordUid="file",
        fileRecordKey=crypto.b64(crypto.ecies_encrypt(owner, file_key)),
        fileRecordData=text["metadata"],
        linkKey=text["fileKey"],
        ownerRecordData=text["owner"],
    )
    put(vault, "new", {"title": "other"}, transactionType="rotation")
    answer(vault, "rollback_secret_update", recordUid="new")
    now = ciphertexts(vault)
    assert {name: now[*where, *name] for name in (("recordKey",), ("data",), ("files", "file", "fileKey"))} == {
        ("recordKey",): text["recordKey"],
        ("data",): text["owner"],
        ("files", "file", "fileKey"): text["fileKey"],
    }
    assert now[*where, "files", "file", "data"] == text["metadata"]
    assert now["get_folders", "folders", "made", "folderKey"] == text["folderKey"]
    assert now["get_folders", "folders", "made", "data"] == text["name"]
