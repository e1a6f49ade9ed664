"""Folders: one file per record, and what becomes of files whose records change or go."""

from __future__ import annotations

import os

import pytest
from agent_pods import VOLUME, AgentPod, plan_folder

from keeper_injector_common.plan.model import Directory, FolderItem
from keeper_injector_common.references import RecordName
from local_keeper import LocalKeeper


def test_a_folder_is_one_file_per_record(pod: AgentPod) -> None:
    """A folder becomes one JSON file per record, with the records of its sub-folders if requested."""
    folder = RecordName(("Production",))
    pod.plan(directories=(Directory(VOLUME, "/app", folders=(FolderItem(folder, 0o440),)),))
    assert pod.run("init").returncode == 0
    assert pod.files() == ["shared-token.json"]
    pod.plan(directories=(Directory(VOLUME, "/app", folders=(FolderItem(folder, 0o440, recursive=True),)),))
    assert pod.run("init").returncode == 0
    assert pod.files() == ["mysql.json", "redis.json", "shared-token.json"]


BOTH = ["mysql.json", "redis.json"]


def uid_in_folder(keeper: LocalKeeper, title: str) -> str:
    """Return the UID of a record in the folder of the plan; another folder has a record with the same title."""
    folder = keeper.vault.find("redis").folder
    return next(
        uid for uid, record in keeper.vault.records.items() if record.title == title and record.folder == folder
    )


@pytest.mark.parametrize(("on_removal", "left"), [("keep", BOTH), ("remove", ["mysql.json"])])
def test_a_removed_record_keeps_or_loses_its_file(
    pod: AgentPod, keeper: LocalKeeper, on_removal: str, left: list[str]
) -> None:
    """The file of a removed record stays or goes as the plan says; a change of the folder is not a failure."""
    plan_folder(pod, on_removal=on_removal)
    assert pod.run("init").returncode == 0
    keeper.remove_record("redis")
    for command in ("once", "once", "init"):
        assert pod.run(command).returncode == 0
        assert pod.files() == left


@pytest.mark.parametrize("on_removal", ["keep", "remove"])
def test_an_undecryptable_record_keeps_its_file(pod: AgentPod, keeper: LocalKeeper, on_removal: str) -> None:
    """An undecryptable record is not removed: its file stays, that is reported, and the other files are updated."""
    plan_folder(pod, on_removal=on_removal)
    assert pod.run("init").returncode == 0
    keeper.corrupt_record("redis")
    keeper.set_field(uid_in_folder(keeper, "mysql"), "password", "another")
    result = pod.run("once")
    assert result.returncode == os.EX_DATAERR
    assert "/app/redis.json: its record cannot be decrypted; share it with the application again" in result.stderr
    assert pod.files() == BOTH
    assert "another" in pod.file("mysql.json")


@pytest.mark.parametrize("on_removal", ["keep", "remove"])
def test_an_undecryptable_folder_keeps_its_files(pod: AgentPod, keeper: LocalKeeper, on_removal: str) -> None:
    """A folder without a single readable record is not removed either."""
    plan_folder(pod, on_removal=on_removal)
    assert pod.run("init").returncode == 0
    for record in ("redis", "mysql"):
        keeper.corrupt_record(uid_in_folder(keeper, record))
    assert pod.run("once").returncode == os.EX_DATAERR
    assert pod.files() == BOTH


@pytest.mark.parametrize("on_removal", ["keep", "remove"])
def test_a_renamed_record_moves_its_file(pod: AgentPod, keeper: LocalKeeper, on_removal: str) -> None:
    """When a second record gets the same title, both files have UIDs in their names and no stale file remains."""
    plan_folder(pod, on_removal=on_removal)
    assert pod.run("init").returncode == 0
    first = keeper.uid("redis")
    second = keeper.add_record(
        {"title": "redis", "type": "login", "fields": {"login": "b"}}, keeper.vault.find("redis").folder
    )
    assert pod.run("once").returncode == 0
    assert pod.files() == sorted(["mysql.json", f"redis-{first}.json", f"redis-{second}.json"])


def test_a_record_that_a_format_rejects_does_not_affect_others(pod: AgentPod, keeper: LocalKeeper) -> None:
    """The other records of the folder are delivered."""
    folder = FolderItem(RecordName(("Production", "Databases")), 0o440, format="env")
    pod.plan(directories=(Directory(VOLUME, "/app", (), (folder,)),))
    keeper.set_field("redis", "password", "with\0zero")
    result = pod.run("once")
    assert result.returncode == os.EX_DATAERR
    assert pod.files() == ["mysql.env"]
    assert "/app/redis.env: " in result.stderr
