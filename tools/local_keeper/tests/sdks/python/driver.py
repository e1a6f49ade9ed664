"""Run operations of the official Python SDK; see ../README.md."""

import os
import sys
from collections.abc import Callable
from typing import Any

from keeper_secrets_manager_core import SecretsManager
from keeper_secrets_manager_core.core import CreateOptions
from keeper_secrets_manager_core.dto.dtos import KeeperFileUpload, RecordCreate, RecordField
from keeper_secrets_manager_core.storage import InMemoryKeyValueStorage

SDK = SecretsManager(config=InMemoryKeyValueStorage(os.environ["KSM_CONFIG"]))


def record(title: str) -> Any:
    return next(item for item in SDK.get_secrets() if item.title == title)


def folder(name: str) -> Any:
    return next(item for item in SDK.get_folders() if item.name == name)


def file(title: str, name: str) -> Any:
    return next(item for item in record(title).files if item.name == name)


def folders() -> str:
    names = {item.folder_uid: item.name for item in SDK.get_folders()}
    all_folders = SDK.get_folders()
    return ", ".join(
        sorted(f"{item.name} in {names[item.parent_uid]}" if item.parent_uid else item.name for item in all_folders)
    )


def where(title: str) -> str:
    found = record(title)
    uid = found.inner_folder_uid or found.folder_uid
    return str(next(item.name for item in SDK.get_folders() if item.folder_uid == uid))


def create(folder_name: str, title: str, password: str) -> str:
    target = folder(folder_name)
    content = RecordCreate("login", title)
    content.fields = [RecordField(field_type="password", value=password)]
    shared, inner = (target.parent_uid, target.folder_uid) if target.parent_uid else (target.folder_uid, None)
    SDK.create_secret_with_options(CreateOptions(shared, inner), content)
    return "ok"


def save(title: str, password: str, transaction: str | None = None) -> str:
    found = record(title)
    found.set_standard_field_value("password", password)
    SDK.save(found, transaction)
    return "ok"


def complete(title: str, rollback: bool) -> str:
    SDK.complete_transaction(record(title).uid, rollback)
    return "ok"


def delete(title: str) -> str:
    return str(SDK.delete_secret(record(title).uid)[0]["responseCode"])


def create_folder(parent: str, name: str) -> str:
    SDK.create_folder(CreateOptions(folder(parent).folder_uid, None), name)
    return "ok"


def rename_folder(name: str, new: str) -> str:
    SDK.update_folder(folder(name).folder_uid, new)
    return "ok"


def delete_folder(name: str, force: bool) -> str:
    return str(SDK.delete_folder([folder(name).folder_uid], force)[0]["responseCode"])


def upload(title: str, name: str, file_title: str, media_type: str, content: str) -> str:
    SDK.upload_file(
        record(title), KeeperFileUpload(name=name, title=file_title, mime_type=media_type, data=content.encode())
    )
    return "ok"


def attachments(title: str) -> str:
    return ", ".join(sorted(f"{item.name} ({item.title}, {item.type})" for item in record(title).files))


def unlink(title: str, name: str) -> str:
    found = record(title)
    SDK.save(found, None, [next(item for item in found.files if item.name == name).f["fileUid"]])
    return "ok"


OPERATIONS: dict[str, Callable[..., str]] = {
    "titles": lambda: ", ".join(sorted({item.title for item in SDK.get_secrets()})),
    "folders": folders,
    "notation": lambda notation: SDK.get_notation_results(notation)[0],
    "where": where,
    "create": create,
    "update": save,
    "rotate": lambda title, password: save(title, password, "rotation"),
    "finalize": lambda title: complete(title, False),
    "rollback": lambda title: complete(title, True),
    "delete": delete,
    "create-folder": create_folder,
    "rename-folder": rename_folder,
    "delete-folder": lambda name: delete_folder(name, False),
    "delete-folder-with-content": lambda name: delete_folder(name, True),
    "upload": upload,
    "download": lambda title, name: file(title, name).get_file_data().decode().rstrip(),
    "attachments": attachments,
    "unlink": unlink,
}

for line in sys.stdin:
    operation, *arguments = line.rstrip("\n").split("\t")
    try:
        print(OPERATIONS[operation](*arguments), flush=True)
    except Exception as error:  # noqa: BLE001 - each failure is the result of its line
        print(f"error\t{type(error).__name__}: {error}".replace("\n", " "), flush=True)
