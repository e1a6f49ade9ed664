"""Folders from Keeper: records in several folders, and folders that cannot be decrypted."""

from __future__ import annotations

import itertools
import json
import os
import time
from typing import Any

import pytest
from agent_pods import VOLUME, AgentPod, item, plan_folder
from hypothesis import given
from hypothesis import strategies as st

from keeper_injector_agent.keeper.client import connect
from keeper_injector_agent.keeper.folders import read_folders
from keeper_injector_agent.keeper.sdk import KeeperVault
from keeper_injector_agent.keeper.transport import Transport
from keeper_injector_common.plan.model import Directory, FolderItem
from keeper_injector_common.records import Folder, Library
from keeper_injector_common.references import RecordName
from local_keeper import LocalKeeper

DATABASES = RecordName(("Production", "Databases"))
DAMAGES = ["key", "no key", "name", "parent"]


def fetch(keeper: LocalKeeper) -> Library:
    """Return the records of *keeper* with their folders."""
    transport = Transport(ca_file=keeper.ca_file, deadline=time.monotonic() + 30)
    return KeeperVault(connect(keeper.config_dict(), transport)).fetch(folders=True)


def titles(library: Library, *folder: str, recursive: bool = False) -> list[str]:
    """Return the titles of the records in a folder."""
    return sorted(record.title for record in library.in_folder(RecordName(folder), recursive=recursive))


def test_a_record_is_in_all_of_its_folders(keeper: LocalKeeper) -> None:
    """Keeper sends a record once for each folder and again if it is shared by itself; it is one record with all folders."""
    keeper.add_shortcut("redis", "Staging")
    keeper.add_shortcut("redis")
    library = fetch(keeper)
    assert titles(library, "Staging") == ["redis"]
    assert titles(library, "Production", "Databases") == ["mysql", "redis"]
    (redis,) = [record for record in library.records if record.title == "redis"]
    assert sorted(folder.names for folder in redis.folders) == [("Production", "Databases"), ("Staging",)]
    for path in (("Staging", "redis"), ("Production", "Databases", "redis"), ("redis",)):
        assert library.find(RecordName(path), strict=True) is redis


@pytest.mark.parametrize("on_removal", ["keep", "remove"])
def test_a_shortcut_changes_no_other_folder(pod: AgentPod, keeper: LocalKeeper, on_removal: str) -> None:
    """A running pod goes on receiving a record that gets a shortcut in another folder, and its new password."""
    plan_folder(pod, on_removal=on_removal)
    assert pod.run("init").returncode == 0
    keeper.add_shortcut("redis", "Staging")
    keeper.add_shortcut("redis")
    keeper.set_field("redis", "password", "rotated")
    assert pod.run("once").returncode == 0
    assert pod.files() == ["mysql.json", "redis.json"]
    assert json.loads(pod.file("redis.json"))["password"] == "rotated"


def test_the_copy_that_decrypts_is_used(keeper: LocalKeeper) -> None:
    """A record that arrives flat, wrapped with the key of a folder, keeps the folders of its other copies."""
    record = keeper.vault.find("redis")
    record.flat = True
    keeper.add_shortcut("redis", "Staging")
    library = fetch(keeper)
    assert titles(library, "Staging") == ["redis"]
    assert titles(library, "Production", "Databases") == ["mysql", "redis"]


@pytest.mark.parametrize("damage", DAMAGES[:3])
def test_a_damaged_folder_affects_only_what_needs_it(pod: AgentPod, keeper: LocalKeeper, damage: Any) -> None:
    """Plain secrets and other folders are delivered; only the item that names the damaged folder has a problem."""
    keeper.damage_folder("Staging", damage)
    staging = Directory(f"{VOLUME}-2", "/staging", folders=(FolderItem(RecordName(("Staging", "Databases")), 0o440),))
    pod.at(f"{VOLUME}-2").mkdir()
    plain = item("token", "shared-token[password]")
    pod.plan(directories=(Directory(VOLUME, "/app", (plain,), (FolderItem(DATABASES, 0o440),)), staging))
    result = pod.run("init")
    assert result.returncode == os.EX_DATAERR
    assert pod.files() == ["mysql.json", "redis.json", "token"]
    (problem,) = pod.termination_message().strip().splitlines()
    (uid,) = [
        folder.uid
        for folder in keeper.vault.folders.values()
        if folder.parent == keeper.vault.find_folder("Staging").uid
    ]
    assert (
        f"folder 'Staging/Databases': not found, and Keeper sent 1 folder whose name cannot be decrypted ({uid})"
        in problem
    )


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_folder_is_found_by_its_uid(keeper: LocalKeeper, damage: Any) -> None:
    """UIDs and parents are sent in clear text: a UID needs no name, and a damaged folder above hides only its name."""
    inner = keeper.vault.find_folder("Databases")
    keeper.damage_folder(inner.uid, damage)
    library = fetch(keeper)
    assert titles(library, inner.uid) == ["mysql", "redis"]
    assert titles(library, "Production") == ["shared-token"]
    below = [] if damage == "parent" else ["mysql", "redis"]
    assert titles(library, "Production", recursive=True) == [*below, "shared-token"]


TREES = st.lists(st.tuples(st.integers(-2, 8), st.sampled_from(["", "key", "name", "missing"])), max_size=8)


@given(TREES)
def test_any_tree_of_folders_is_read(tree: list[tuple[int, str]]) -> None:
    """Parents may be missing, damaged or in a circle: a folder has its path, with None for each name that is unknown."""
    sent: list[dict[str, Any]] = [
        {
            "folderUid": f"f{number}",
            "parent": f"f{parent}" if parent >= 0 else None,
            "folderKey": "k",
            "data": f"n{number}",
        }
        for number, (parent, _) in enumerate(tree)
    ]
    damages = {f"f{number}": damage for number, (_, damage) in enumerate(tree)}
    for folder in sent:
        if damages[folder["folderUid"]] == "key":
            folder["folderKey"] = None
        elif damages[folder["folderUid"]] == "name":
            folder["data"] = "?"
        elif damages[folder["folderUid"]] == "missing":
            del folder["data"]

    def decrypt(data: str | None, _key: bytes = b"") -> bytes:
        if data is None or data == "?":
            raise ValueError
        return json.dumps({"name": data}).encode()

    folders = read_folders(sent, decrypt, decrypt)
    assert folders.keys() == damages.keys()
    for uid, folder in folders.items():
        assert folder.uids[-1] == uid
        assert len(folder.names) == len(folder.uids) == len(set(folder.uids))
        for inner, outer in itertools.pairwise(reversed(folder.uids)):
            assert sent[int(inner[1:])]["parent"] == outer
        readable = damages[folder.uids[0]] != "key" and not damages[uid]
        assert folder.names[-1] == (f"n{uid[1:]}" if readable else None)


def test_folders_of_equal_name_are_two() -> None:
    """Two shared folders may have one name."""
    sent = [{"folderUid": uid, "folderKey": "", "data": '{"name": "n"}'} for uid in "ab"]
    assert read_folders(sent, str.encode, lambda data, _: data.encode()) == {
        "a": Folder(("n",), ("a",)),
        "b": Folder(("n",), ("b",)),
    }
