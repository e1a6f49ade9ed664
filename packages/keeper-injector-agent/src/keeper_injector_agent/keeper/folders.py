"""The paths of folders from what Keeper sends, read one by one: a folder that cannot be decrypted affects no other.

The SDK reads all folders or none. Parents are sent in clear text, so the UIDs of a path are known even if a name is not.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from functools import cache

from keeper_injector_common.json_values import Json
from keeper_injector_common.records import Folder

log = logging.getLogger(__name__)


def read_folders(
    sent: Iterable[Json], decrypt_shared_key: Callable[[str], bytes], decrypt_inner: Callable[[str, bytes], bytes]
) -> dict[str, Folder]:
    """Return the path of every folder by UID. A name that cannot be decrypted is None there, and logged.

    *decrypt_shared_key* decrypts the key of a shared folder with that of the application. *decrypt_inner* decrypts the key
    of a folder in a shared folder with the shared folder's key, and a name with its folder's key. Both may raise anything.
    """
    by_uid = {str(folder.get("folderUid") or ""): folder for folder in sent}

    @cache
    def shared_key(uid: str) -> bytes:
        return decrypt_shared_key(by_uid[uid]["folderKey"])

    def name_of(uid: str, shared: str) -> str | None:
        folder = by_uid[uid]
        try:
            key = shared_key(shared)
            if uid != shared:
                key = decrypt_inner(folder["folderKey"], key)
            name = json.loads(decrypt_inner(folder["data"], key))["name"]
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one folder must not affect the others
            log.warning("keeper.folder_unreadable", extra={"folder": uid, "cause": type(error).__name__})
            return None
        return name if isinstance(name, str) else None

    paths = {uid: _path(uid, by_uid) for uid in by_uid}
    names = {uid: name_of(uid, path[0]) for uid, path in paths.items()}
    return {uid: Folder(tuple(names[step] for step in path), path) for uid, path in paths.items()}


def _path(uid: str, by_uid: dict[str, Json]) -> tuple[str, ...]:
    """Return the UIDs from the shared folder to *uid*. A folder whose parent was not sent is taken for a shared folder."""
    path = [uid]
    while (parent := str(by_uid[path[0]].get("parent") or "")) in by_uid and parent not in path:
        path.insert(0, parent)
    return tuple(path)


def folders_of_record(uids: Iterable[str], known: dict[str, Folder]) -> tuple[Folder, ...]:
    """Return the folders with *uids*, each once; one that Keeper did not list has an unknown name."""
    return tuple(known.get(uid) or Folder((None,), (uid,)) for uid in dict.fromkeys(uids) if uid)
