"""Keeper's operations: a decrypted payload and the vault → the JSON answer."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from cryptography.exceptions import InvalidTag

from local_keeper import crypto
from local_keeper.vault import Before, Device, File, Folder, Json, Record, Vault

FileUrl = Callable[[File], str]
_WRONG_KEY = b"\0" * 32


class ApiError(Exception):
    """One of Keeper's error documents as the answer."""

    def __init__(self, error: str, message: str, status: int = 403, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": error, "message": message, **more}


def perform(operation: str, vault: Vault, device: Device, payload: Json, file_url: FileUrl) -> Json | None:
    """Perform one operation and return its answer; None for an empty answer. Raises :class:`ApiError`."""
    known = OPERATIONS.get(operation)
    if known is None:
        raise ApiError("bad_request", f"unknown operation {operation}", 400)
    with vault.lock:
        try:
            return known(vault, device, payload, file_url)
        except KeyError as error:
            raise ApiError("bad_request", f"unknown or missing: {error}", 400) from None
        except (InvalidTag, TypeError, ValueError) as error:
            raise ApiError("bad_request", f"{operation}: cannot read the payload: {error!r}", 400) from None


def _get_secret(vault: Vault, device: Device, payload: Json, file_url: FileUrl) -> Json:
    described = json.dumps({"title": vault.title, "type": "app"}).encode()
    # Java requires each field, so what is absent is null; Go and Java decode the two keys only with padding.
    answer: Json = {
        "encryptedAppKey": None,
        "appOwnerPublicKey": None,
        "appData": crypto.b64url(vault.sealed.part("appData", vault.app_key, described)),
        "expiresOn": 0,
        "warnings": list(vault.warnings) or None,
    }
    if not device.confirmed:
        if payload.get("publicKey"):
            answer["encryptedAppKey"] = crypto.b64(device.sealed.part("appKey", device.token, vault.app_key))
            answer["appOwnerPublicKey"] = crypto.b64(crypto.point(vault.owner.public_key()))
        else:
            device.confirmed = True
    records = _asked_for(vault, payload)
    answer["records"] = [
        _record_json(vault, record, folder, file_url)
        for record in records
        for folder in record.locations
        if not folder or record.flat
    ]
    roots = [folder for folder in vault.folders.values() if not folder.parent]
    answer["folders"] = [
        json_folder for root in roots if (json_folder := _shared_folder(vault, root, records, file_url))["records"]
    ]
    return answer


def _asked_for(vault: Vault, payload: Json) -> list[Record]:
    uids, folders = payload.get("requestedRecords"), payload.get("requestedFolders")
    return [
        record
        for record in vault.records.values()
        if (not uids or record.uid in uids) and (not folders or not set(folders).isdisjoint(record.locations))
    ]


def _shared_folder(vault: Vault, root: Folder, records: list[Record], file_url: FileUrl) -> Json:
    inside = [
        (record, folder)
        for record in records
        for folder in record.locations
        if folder and not record.flat and vault.shared_root(folder) is root
    ]
    return {
        "folderUid": root.uid,
        "folderKey": crypto.b64(root.sealed.part("folderKey", vault.app_key, root.key)),
        "data": _folder_name(root),
        "parent": None,
        "records": [_record_json(vault, record, folder, file_url) for record, folder in inside],
    }


def _record_json(vault: Vault, record: Record, folder: str, file_url: FileUrl) -> Json:
    wrapping = vault.shared_root(folder).key if folder else vault.app_key
    data = record.sealed.part("data", _WRONG_KEY if record.corrupt else record.key, record.plaintext)
    inner = folder if folder and vault.folders[folder].parent else None
    return {
        "recordUid": record.uid,
        "recordKey": crypto.b64(record.sealed.part(_record_key_in(folder), wrapping, record.key)),
        "data": crypto.b64(data),
        "revision": record.revision,
        "isEditable": True,
        "innerFolderUid": (folder or None) if record.flat else inner,
        "files": [_file_json(record, file, file_url) for file in record.files],
        "links": [],
    }


def _file_json(record: Record, file: File, file_url: FileUrl) -> Json:
    described = {
        "name": file.name,
        "title": file.title or file.name,
        "type": file.type,
        "size": len(file.content),
        "lastModified": file.modified,
    }
    metadata = json.dumps(described).encode() if file.metadata is None else file.metadata
    link_key = _WRONG_KEY if file.corrupt == "key" else record.key
    data = file.sealed.part("data", _WRONG_KEY if file.corrupt == "metadata" else file.key, metadata)
    return {
        "fileUid": file.uid,
        "fileKey": crypto.b64(file.sealed.part("fileKey", link_key, file.key)),
        "data": crypto.b64(data),
        "url": file_url(file),
        "thumbnailUrl": None,
    }


def _folder_name(folder: Folder) -> str:
    return crypto.b64(folder.sealed.part("data", folder.key, _folder_data(folder.name), crypto.cbc))


def _folder_data(name: str) -> bytes:
    return json.dumps({"name": name}).encode()


def _get_folders(vault: Vault, _device: Device, _payload: Json, _file_url: FileUrl) -> Json:
    folders = [_folder_json(vault, folder) for folder in vault.folders_outermost_first()]
    # Java reads this answer with the class of get_secret's, which requires the other two.
    return {"encryptedAppKey": None, "folders": folders, "records": None}


def _folder_json(vault: Vault, folder: Folder) -> Json:
    wrapping, encrypt = (
        (vault.shared_root(folder.uid).key, crypto.cbc) if folder.parent else (vault.app_key, crypto.gcm)
    )
    key = folder.sealed.part("folderKey", wrapping, folder.key, encrypt)
    if folder.damage == "key":
        key = folder.sealed.garbage("damaged folderKey", len(key))
    unknown_parent = crypto.b64url(folder.sealed.garbage("damaged parent", 16))
    name = crypto.b64(folder.sealed.garbage("damaged data", 48)) if folder.damage == "name" else _folder_name(folder)
    return {
        "folderUid": folder.uid,
        "folderKey": None if folder.damage == "no key" else crypto.b64(key),
        "parent": unknown_parent if folder.damage == "parent" else folder.parent or None,
        "data": name,
        "records": None,  # Java uses one class for this folder and for those of get_secret
    }


def _create_secret(vault: Vault, _device: Device, payload: Json, _file_url: FileUrl) -> None:
    key = crypto.ecies_decrypt(vault.owner, crypto.unb64(payload["recordKey"]))
    folder = payload.get("subFolderUid") or payload["folderUid"]
    if folder not in vault.folders:
        raise ApiError("bad_request", f"unknown folder {folder}", 400)
    record = Record({}, folder, uid=payload["recordUid"], key=key)
    _write(record, payload["data"])
    shared, wrapped = vault.shared_root(folder), crypto.unb64(payload["folderKey"])
    if crypto.ungcm(shared.key, wrapped) != key:
        raise ApiError("bad_request", "folderKey and recordKey hold different keys", 400)
    record.sealed.keep(_record_key_in(folder), shared.key, key, wrapped)
    vault.records[record.uid] = record


def _write(record: Record, data: str) -> None:
    """Replace the record's data by what a client has encrypted."""
    ciphertext = crypto.unb64(data)
    record.data = {"custom": [], **json.loads(crypto.ungcm(record.key, ciphertext))}
    record.sealed.keep("data", record.key, record.plaintext, ciphertext)


def _record_key_in(folder: str) -> str:
    return f"recordKey in {folder}"


def _update_secret(vault: Vault, _device: Device, payload: Json, _file_url: FileUrl) -> None:
    record = vault.records[payload["recordUid"]]
    if payload.get("revision") not in {None, record.revision}:
        raise ApiError("out_of_sync", f"revision {payload['revision']} is not current", 409)
    before = Before(record.data, list(record.files), record.sealed.part("data", record.key, record.plaintext))
    _write(record, payload["data"])
    if not payload.get("transactionType"):
        record.before = None
    elif record.before is None:
        record.before = before
    removed = payload.get("links2Remove") or ()
    record.files = [file for file in record.files if file.uid not in removed]
    record.revision += 1


def _finalize_update(vault: Vault, _device: Device, payload: Json, _file_url: FileUrl) -> None:
    _in_transaction(vault, payload).before = None


def _rollback_update(vault: Vault, _device: Device, payload: Json, _file_url: FileUrl) -> None:
    record = _in_transaction(vault, payload)
    if record.before is not None:
        record.data, record.files = record.before.data, record.before.files
        record.sealed.keep("data", record.key, record.plaintext, record.before.ciphertext)
        record.before = None
    record.revision += 1  # a client must see that the content changed again


def _in_transaction(vault: Vault, payload: Json) -> Record:
    record = vault.records[payload["recordUid"]]
    if record.before is None:
        raise ApiError("bad_request", f"record {record.uid} has no update to finalize or to roll back", 400)
    return record


def _delete_secret(vault: Vault, _device: Device, payload: Json, _file_url: FileUrl) -> Json:
    answers = []
    for uid in payload["recordUids"]:
        found = vault.records.pop(uid, None)
        answers.append({"recordUid": uid, "responseCode": "ok" if found else "access_denied", "errorMessage": ""})
    return {"records": answers}


def _create_folder(vault: Vault, _device: Device, payload: Json, _file_url: FileUrl) -> None:
    shared = vault.folders[payload["sharedFolderUid"]]
    parent = vault.folders[payload.get("parentUid") or shared.uid]
    if vault.shared_root(parent.uid) is not shared:
        raise ApiError("bad_request", f"folder {parent.uid} is not in the shared folder {shared.uid}", 400)
    if payload["folderUid"] in vault.folders:
        raise ApiError("bad_request", f"folder {payload['folderUid']} exists", 400)
    wrapped = crypto.unb64(payload["sharedFolderKey"])
    folder = Folder("", parent.uid, payload["folderUid"], crypto.uncbc(shared.key, wrapped))
    _rename(folder, payload["data"])
    folder.sealed.keep("folderKey", shared.key, folder.key, wrapped)
    vault.folders[folder.uid] = folder


def _update_folder(vault: Vault, _device: Device, payload: Json, _file_url: FileUrl) -> None:
    _rename(vault.folders[payload["folderUid"]], payload["data"])


def _rename(folder: Folder, data: str) -> None:
    ciphertext = crypto.unb64(data)
    folder.name = json.loads(crypto.uncbc(folder.key, ciphertext))["name"]
    folder.sealed.keep("data", folder.key, _folder_data(folder.name), ciphertext)


def _delete_folder(vault: Vault, _device: Device, payload: Json, _file_url: FileUrl) -> Json:
    asked: list[str] = payload["folderUids"]
    known = set(vault.folders)
    answers = []
    for uid in asked:
        code, message = "ok", ""
        if uid not in known:
            code, message = "access_denied", "the folder does not exist or is not shared with the application"
        elif uid in vault.folders and not payload.get("forceDeletion") and not vault.is_empty(uid):
            code, message = "not_empty", "the folder contains records or folders; delete them, or force the deletion"
        elif uid in vault.folders:
            vault.remove_folder(uid)
        answers.append({"folderUid": uid, "responseCode": code, "errorMessage": message})
    return {"folders": answers, "records": []}  # Java reads one class after each deletion and requires the records


def _add_file(vault: Vault, _device: Device, payload: Json, file_url: FileUrl) -> Json:
    owner = vault.records[payload["ownerRecordUid"]]
    key = crypto.ecies_decrypt(vault.owner, crypto.unb64(payload["fileRecordKey"]))
    metadata, link_key = crypto.unb64(payload["fileRecordData"]), crypto.unb64(payload["linkKey"])
    if crypto.ungcm(owner.key, link_key) != key:
        raise ApiError("bad_request", "linkKey and fileRecordKey hold different keys", 400)
    described = json.loads(crypto.ungcm(key, metadata))
    file = File(described["name"], b"", payload["fileRecordUid"], key, int(time.time() * 1000))
    file.title = str(described.get("title") or "")
    file.type = str(described.get("type") or file.type)
    file.metadata = crypto.ungcm(key, metadata)
    file.sealed.keep("data", key, file.metadata, metadata)
    file.sealed.keep("fileKey", owner.key, key, link_key)
    _write(owner, payload["ownerRecordData"])
    owner.files.append(file)
    owner.revision += 1
    return {"url": file_url(file), "parameters": json.dumps({"key": file.uid}), "successStatusCode": 201}


OPERATIONS: dict[str, Callable[[Vault, Device, Json, FileUrl], Json | None]] = {
    "get_secret": _get_secret,
    "get_folders": _get_folders,
    "create_secret": _create_secret,
    "update_secret": _update_secret,
    "finalize_secret_update": _finalize_update,
    "rollback_secret_update": _rollback_update,
    "delete_secret": _delete_secret,
    "create_folder": _create_folder,
    "update_folder": _update_folder,
    "delete_folder": _delete_folder,
    "add_file": _add_file,
}
"""Keeper's operations by name."""
FILE_OPERATIONS = ("file_download", "file_upload")
"""The names of downloads and uploads in counts and faults."""
