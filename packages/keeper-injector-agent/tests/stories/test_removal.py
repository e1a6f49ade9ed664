"""Records that go, change their names or cannot be read any more, and what becomes of their files and folders."""

from __future__ import annotations

import os
from typing import Any

import pytest
from agent_pods import VOLUME, AgentPod, events, item

from keeper_injector_common.plan.model import Directory, FolderItem
from keeper_injector_common.references import RecordName
from local_keeper import Fault, LocalKeeper

BOTH = ["mysql.json", "redis.json"]


def inside(keeper: LocalKeeper, title: str) -> str:
    """Return the UID of a record of the folder; another folder has one of the same title."""
    folder = keeper.vault.find("redis").folder
    return next(
        uid for uid, record in keeper.vault.records.items() if record.title == title and record.folder == folder
    )


def wants_folder(pod: AgentPod, *more: Any, **plan: Any) -> None:
    """Give the agent a plan for the databases' folder."""
    folder = FolderItem(RecordName(("Production", "Databases")), 0o440)
    pod.plan(directories=(Directory(VOLUME, "/app", tuple(more), (folder,)),), **plan)


@pytest.mark.parametrize(("on_removal", "left"), [("keep", BOTH), ("remove", ["mysql.json"])])
def test_a_record_that_is_gone(pod: AgentPod, keeper: LocalKeeper, on_removal: str, left: list[str]) -> None:
    """Its file stays or goes as the plan says, for as long as it is so; that a folder has changed is no failure."""
    wants_folder(pod, on_removal=on_removal)
    assert pod.run("init").returncode == 0
    keeper.remove_record("redis")
    for command in ("once", "once", "init"):
        assert pod.run(command).returncode == 0
        assert pod.files() == left


@pytest.mark.parametrize("on_removal", ["keep", "remove"])
def test_a_record_that_cannot_be_decrypted(pod: AgentPod, keeper: LocalKeeper, on_removal: str) -> None:
    """Nobody took it away: its file stays, the others go on, and it is said."""
    wants_folder(pod, on_removal=on_removal)
    assert pod.run("init").returncode == 0
    keeper.corrupt_record("redis")
    keeper.set_field(inside(keeper, "mysql"), "password", "another")
    result = pod.run("once")
    assert result.returncode == os.EX_DATAERR
    assert "/app/redis.json: its record cannot be decrypted; share it with the application again" in result.stderr
    assert pod.files() == BOTH
    assert "another" in pod.file("mysql.json")


@pytest.mark.parametrize("on_removal", ["keep", "remove"])
def test_a_folder_of_which_nothing_can_be_decrypted(pod: AgentPod, keeper: LocalKeeper, on_removal: str) -> None:
    """It is not gone either."""
    wants_folder(pod, on_removal=on_removal)
    assert pod.run("init").returncode == 0
    for record in ("redis", "mysql"):
        keeper.corrupt_record(inside(keeper, record))
    assert pod.run("once").returncode == os.EX_DATAERR
    assert pod.files() == BOTH


@pytest.mark.parametrize("on_removal", ["keep", "remove"])
def test_two_of_one_title(pod: AgentPod, keeper: LocalKeeper, on_removal: str) -> None:
    """The file moves to its new name with its record; no stale one stays under the old name."""
    wants_folder(pod, on_removal=on_removal)
    assert pod.run("init").returncode == 0
    first = keeper.uid("redis")
    second = keeper.add_record(
        {"title": "redis", "type": "login", "fields": {"login": "b"}}, keeper.vault.find("redis").folder
    )
    assert pod.run("once").returncode == 0
    assert pod.files() == sorted(["mysql.json", f"redis-{first}.json", f"redis-{second}.json"])


def test_a_folder_beside_files(pod: AgentPod, keeper: LocalKeeper) -> None:
    """In one directory: what is no folder's is nothing of the folder's to keep."""
    wants_folder(pod, item("own", "two-factor[login]"), on_removal="remove")
    assert pod.run("init").returncode == 0
    keeper.remove_record("two-factor")
    assert pod.run("once").returncode == os.EX_DATAERR
    assert pod.files() == BOTH


def test_one_record_that_no_format_takes(pod: AgentPod, keeper: LocalKeeper) -> None:
    """The others of the folder are delivered."""
    folder = FolderItem(RecordName(("Production", "Databases")), 0o440, format="env")
    pod.plan(directories=(Directory(VOLUME, "/app", (), (folder,)),))
    keeper.set_field("redis", "password", "with\0zero")
    result = pod.run("once")
    assert result.returncode == os.EX_DATAERR
    assert pod.files() == ["mysql.env"]
    assert "/app/redis.env: " in result.stderr


@pytest.mark.parametrize(("on_removal", "left"), [("keep", ["gone", "there"]), ("remove", ["there"])])
def test_records_that_are_gone(pod: AgentPod, keeper: LocalKeeper, on_removal: str, left: list[str]) -> None:
    """``on-removal`` decides; an outage is no removal."""
    pod.wants({"gone": "two-factor[login]", "there": "api-keys[login]"}, on_removal=on_removal)
    assert pod.run("init").returncode == 0
    keeper.fault(Fault.api_error("internal", status=500), "get_secret", None)
    pod.run("once", "--deadline", "1")
    assert pod.files() == ["gone", "there"]
    keeper.clear_faults()
    keeper.remove_record("two-factor")
    assert pod.run("once").returncode == os.EX_DATAERR
    assert pod.files() == left


def test_a_record_that_cannot_be_decrypted_is_not_gone(pod: AgentPod, keeper: LocalKeeper) -> None:
    """Even where ``on-removal`` is ``remove``, by title and by UID: nobody took it away."""
    pod.wants({"t": "two-factor[login]", "u": f"{keeper.uid('two-factor')}[login]"}, on_removal="remove")
    assert pod.run("init").returncode == 0
    keeper.corrupt_record("two-factor")
    result = pod.run("once")
    assert result.returncode == os.EX_DATAERR
    assert f"({keeper.uid('two-factor')})" in result.stderr
    assert pod.files() == ["t", "u"]


def test_a_title_that_two_have_is_not_gone(pod: AgentPod, keeper: LocalKeeper) -> None:
    """Nor is a record of which a field has another name: only what is deleted or not shared is removed."""
    pod.wants({"t": "two-factor[login]", "x": "api-keys[login]"}, on_removal="remove", strict_lookup=True)
    assert pod.run("init").returncode == 0
    keeper.add_record({"title": "two-factor", "type": "login", "fields": {"login": "second"}})
    assert pod.run("once").returncode == os.EX_DATAERR
    assert pod.files() == ["t", "x"]


def test_a_record_that_is_malformed_harms_no_other(pod: AgentPod, keeper: LocalKeeper) -> None:
    """Clients of all kinds write into Keeper; what they leave there keeps no other record away."""
    pod.wants({"x": "api-keys[login]"})
    keeper.set_field("database-credentials", "login", "half a pair \ud800")
    keeper.vault.find("two-factor").data["fields"].append(None)
    result = pod.run("once")
    assert (result.returncode, pod.file("x")) == (0, "billing")
    malformed = [line["uid"] for line in events(result.stderr) if line["event"] == "record.malformed"]
    assert keeper.uid("database-credentials") in malformed
