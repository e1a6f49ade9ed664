"""Folders: one file per record, and what becomes of files whose records change or go."""

from __future__ import annotations

import json
import os

import pytest
from agent_pods import VOLUME, AgentPod, item, plan_folder

from keeper_injector_common.plan.model import Directory, FolderItem
from keeper_injector_common.plan.paths import METRICS_NAME, STATE_PATH
from keeper_injector_common.references import RecordName
from local_keeper import LocalKeeper

pytestmark = pytest.mark.both_ways


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


def last_success(pod: AgentPod) -> float:
    """Return when all files were last up to date, as the metric says."""
    (line,) = [
        text
        for text in pod.at(f"{STATE_PATH}/{METRICS_NAME}").read_text("utf-8").splitlines()
        if text.startswith("keeper_injector_agent_last_success_timestamp_seconds ")
    ]
    return float(line.split()[1])


def leave(keeper: LocalKeeper, how: str) -> None:
    """Remove the record redis from the folder: delete it, or move it to another one."""
    record = keeper.vault.find("redis")
    if how == "deleted":
        keeper.remove_record(record.uid)
    else:
        record.folder = keeper.vault.find("shared-token").folder


@pytest.mark.parametrize("how", ["deleted", "moved"])
def test_the_old_file_of_a_record_that_left_is_a_problem_at_every_refresh(
    pod: AgentPod, keeper: LocalKeeper, how: str
) -> None:
    """With ``keep``, an old value never counts as success: it is reported each time, and the metric of freshness ages."""
    plan_folder(pod)
    assert pod.run("init").returncode == 0
    fresh, mysql = last_success(pod), uid_in_folder(keeper, "mysql")
    leave(keeper, how)
    for number in range(2):
        keeper.set_field(mysql, "password", f"new-{number}")
        result = pod.run("once")
        assert result.returncode == os.EX_DATAERR
        assert "/app/redis.json: its record is not in the folder any more" in result.stderr
        assert pod.files() == BOTH
        assert f"new-{number}" in pod.file("mysql.json")
    assert last_success(pod) == fresh
    # The containers of the pod start again, and a new pod would start without the file.
    result = pod.run("init")
    assert (result.returncode, pod.files()) == (0, BOTH)
    assert '"secret.ambiguous"' in result.stderr


@pytest.mark.parametrize("how", ["deleted", "moved"])
def test_the_file_of_a_record_that_left_is_removed(pod: AgentPod, keeper: LocalKeeper, how: str) -> None:
    """With ``remove``, a change of the folder is not a failure."""
    plan_folder(pod, on_removal="remove")
    assert pod.run("init").returncode == 0
    leave(keeper, how)
    for command in ("once", "once", "init"):
        assert pod.run(command).returncode == 0
        assert pod.files() == ["mysql.json"]


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


@pytest.mark.parametrize("strict", [False, True])
def test_a_missing_file_of_an_undecryptable_record_is_never_silent(
    pod: AgentPod, keeper: LocalKeeper, *, strict: bool
) -> None:
    """With strict-lookup the pod does not start; otherwise log, termination message, status and metric say what is missing."""
    plan_folder(pod, strict_lookup=strict)
    uid = keeper.uid("redis")
    keeper.corrupt_record("redis")
    result = pod.run("init")
    expected = (
        f"/app: folder 'Production/Databases': 1 record of it cannot be decrypted or read ({uid}), so files are missing"
    )
    assert expected in pod.termination_message()
    assert pod.files() == ["mysql.json"]
    assert result.returncode == (os.EX_DATAERR if strict else 0)
    assert pod.run("once").returncode == (os.EX_DATAERR if strict else 0)
    status = json.loads(pod.run("status", "-o", "json").stdout)
    assert [item["item"] for item in status["targets"][0]["stale"]] == ["/app"]
    assert any(expected in text for text in status["warnings"]) is not strict
    assert 'keeper_injector_agent_stale_items{target="/app"} 1' in pod.at(f"{STATE_PATH}/{METRICS_NAME}").read_text(
        "utf-8"
    )


def test_an_undecryptable_record_of_another_folder_is_not_missing(pod: AgentPod, keeper: LocalKeeper) -> None:
    """Keeper says in clear text which folder a record is in, so only its own folder is incomplete."""
    plan_folder(pod)
    for title in ("api-keys", "shared-token"):
        keeper.corrupt_record(title)
    result = pod.run("init")
    assert (result.returncode, pod.termination_message()) == (0, "")
    assert "cannot be decrypted" not in result.stderr


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
    """The file follows the title, and no stale file remains."""
    plan_folder(pod, on_removal=on_removal)
    assert pod.run("init").returncode == 0
    keeper.vault.find("redis").data["title"] = "cache"
    assert pod.run("once").returncode == 0
    assert pod.files() == ["cache.json", "mysql.json"]


def duplicate(keeper: LocalKeeper, title: str) -> str:
    """Add a record of the same title to the folder of a record, and return its UID."""
    folder = keeper.vault.find("redis").folder
    return keeper.add_record({"title": title, "type": "login", "fields": {"password": "of-the-duplicate"}}, folder)


@pytest.mark.parametrize("on_removal", ["keep", "remove"])
def test_a_duplicate_takes_no_file_from_a_running_application(
    pod: AgentPod, keeper: LocalKeeper, on_removal: str
) -> None:
    """The record that had the file keeps it and its rotation, the duplicate gets a name with its UID, and that is logged."""
    plan_folder(pod, on_removal=on_removal)
    assert pod.run("init").returncode == 0
    first, second = keeper.uid("redis"), duplicate(keeper, "redis")
    for password in ("one", "two"):
        keeper.set_field(first, "password", password)
        result = pod.run("once")
        assert result.returncode == 0
        assert "records share the title or file name of 'redis'" in result.stderr
        assert pod.files() == sorted(["mysql.json", "redis.json", f"redis-{second}.json"])
        assert password in pod.file("redis.json")
        assert "of-the-duplicate" in pod.file(f"redis-{second}.json")
    keeper.remove_record(second)
    assert pod.run("once").returncode == (os.EX_DATAERR if on_removal == "keep" else 0)
    assert "two" in pod.file("redis.json")


def test_new_pods_prefer_no_duplicate(pod: AgentPod, keeper: LocalKeeper) -> None:
    """Without an earlier file, both records have their UIDs in their names."""
    first, second = keeper.uid("redis"), duplicate(keeper, "redis")
    plan_folder(pod)
    assert pod.run("init").returncode == 0
    assert pod.files() == sorted(["mysql.json", f"redis-{first}.json", f"redis-{second}.json"])


def test_an_undecryptable_record_is_not_replaced_by_its_duplicate(pod: AgentPod, keeper: LocalKeeper) -> None:
    """While a record cannot be decrypted, a duplicate does not become its file."""
    plan_folder(pod)
    assert pod.run("init").returncode == 0
    first, second = keeper.uid("redis"), duplicate(keeper, "redis")
    assert pod.run("once").returncode == 0
    keeper.corrupt_record(first)
    assert pod.run("once").returncode == os.EX_DATAERR
    assert pod.files() == sorted(["mysql.json", "redis.json", f"redis-{second}.json"])
    assert "redis-of-production" in pod.file("redis.json")


def test_a_title_of_any_length_has_a_file(pod: AgentPod, keeper: LocalKeeper) -> None:
    """A long title is shortened, and the other files of the directory are refreshed."""
    plan_folder(pod)
    assert pod.run("init").returncode == 0
    uids = [duplicate(keeper, "é" * 300 + end) for end in ("a", "b")]
    keeper.set_field("redis", "password", "rotated")
    assert pod.run("once").returncode == 0
    names = pod.files()
    assert {name[-27:] for name in names} >= {f"{uid}.json" for uid in uids}
    assert max(len(name.encode()) for name in names) == 254  # of 255: two bytes for each character
    assert "rotated" in pod.file("redis.json")


def in_two_folders(pod: AgentPod, **more: object) -> None:
    """Give the agent a plan that writes two folders, each with a record mysql, into one directory."""
    folders = tuple(FolderItem(RecordName((name, "Databases")), 0o440) for name in ("Production", "Staging"))
    pod.plan(directories=(Directory(VOLUME, "/app", (), folders),), **more)


def test_two_folders_never_compete_silently(pod: AgentPod, keeper: LocalKeeper) -> None:
    """No record gets a path that two want; the init container names both."""
    in_two_folders(pod)
    assert pod.run("init").returncode == os.EX_DATAERR
    message = pod.termination_message()
    assert "/app/mysql.json: two records would be written here: json of record 'mysql' (" in message
    assert all(uid in message for uid, record in keeper.vault.records.items() if record.title == "mysql")
    in_two_folders(pod, fail_on_error=False)
    assert pod.run("init").returncode == 0
    assert pod.files() == ["redis.json"]


def test_a_record_of_another_folder_does_not_take_a_file(pod: AgentPod, keeper: LocalKeeper) -> None:
    """A record that appears in a second folder is a problem, and the first one keeps its file and its rotation."""
    staging = next(
        record for record in keeper.vault.records.values() if record.data["fields"][-1]["value"] == ["mysql-of-staging"]
    )
    staging.data["title"] = "other"
    in_two_folders(pod)
    assert pod.run("init").returncode == 0
    assert pod.files() == ["mysql.json", "other.json", "redis.json"]
    staging.data["title"] = "mysql"
    keeper.set_field(uid_in_folder(keeper, "mysql"), "password", "rotated")
    result = pod.run("once")
    assert result.returncode == os.EX_DATAERR
    assert f"({staging.uid})" in result.stderr
    assert "rotated" in pod.file("mysql.json")


def test_an_explicit_file_takes_precedence_over_a_folder(pod: AgentPod) -> None:
    """The plan's own file is written, and a warning names the record of the folder that is not."""
    plan_folder(pod, item("mysql.json", "database-credentials[password]"))
    result = pod.run("init")
    assert result.returncode == 0
    assert pod.file("mysql.json") == "correct-horse-battery"
    assert "/app/mysql.json: json of record 'mysql' (" in result.stderr
    assert "is in a folder, and is not written" in result.stderr
    assert pod.run("once").returncode == 0
    assert pod.file("mysql.json") == "correct-horse-battery"


def test_a_folder_that_cannot_be_read_does_not_bring_old_files_back(pod: AgentPod, keeper: LocalKeeper) -> None:
    """The files of another folder in the same directory are the new ones."""
    folders = tuple(FolderItem(RecordName(parts), 0o440) for parts in (("Production",), ("Staging", "Databases")))
    pod.plan(directories=(Directory(VOLUME, "/app", (), folders),))
    assert pod.run("init").returncode == 0
    keeper.set_field("shared-token", "password", "rotated")
    staging = next(
        record for record in keeper.vault.records.values() if record.data["fields"][-1]["value"] == ["mysql-of-staging"]
    )
    keeper.corrupt_record(staging.uid)
    assert pod.run("once").returncode == os.EX_DATAERR
    assert pod.files() == ["mysql.json", "shared-token.json"]
    assert "rotated" in pod.file("shared-token.json")


def test_a_record_that_a_format_rejects_does_not_affect_others(pod: AgentPod, keeper: LocalKeeper) -> None:
    """The other records of the folder are delivered."""
    folder = FolderItem(RecordName(("Production", "Databases")), 0o440, format="env")
    pod.plan(directories=(Directory(VOLUME, "/app", (), (folder,)),))
    keeper.set_field("redis", "password", "with\0zero")
    result = pod.run("once")
    assert result.returncode == os.EX_DATAERR
    assert pod.files() == ["mysql.env"]
    assert "/app/redis.env: " in result.stderr


def test_files_that_could_not_be_written_are_written_later(pod: AgentPod, keeper: LocalKeeper) -> None:
    """After a failed write, the next refresh does not take the old files for the new ones."""
    plan_folder(pod)
    assert pod.run("init").returncode == 0
    keeper.set_field("redis", "password", "rotated")
    duplicate(keeper, "blocked")
    pod.put(f"{VOLUME}/blocked.json", "of another program")
    assert pod.run("once").returncode == os.EX_IOERR
    assert "rotated" not in pod.file("redis.json")
    pod.at(f"{VOLUME}/blocked.json").unlink()
    assert pod.run("once").returncode == 0
    assert "rotated" in pod.file("redis.json")


def test_a_folder_that_is_found_by_its_name_says_how_to_write_it(pod: AgentPod, keeper: LocalKeeper) -> None:
    """What looks like the UID of a folder may be the name of another: that is a warning, and a problem with strict-lookup."""
    name = keeper.vault.find_folder("Staging").name = "AbCdEfGhIjKlMnOpQrStUg"
    keeper.vault.find("shared-token").folder = uid = keeper.vault.find_folder(name).uid
    folder = Directory(VOLUME, "/app", (), (FolderItem(RecordName((name,)), 0o440),))
    pod.plan(directories=(folder,))
    assert (pod.run("init").returncode, pod.files()) == (0, ["shared-token.json"])
    assert f"folder '{name}': no folder has this UID" in pod.termination_message()
    assert uid in pod.termination_message()
    pod.plan(directories=(folder,), strict_lookup=True)
    result = pod.run("once")
    assert result.returncode == os.EX_DATAERR
    assert f"no folder has this UID; write {uid} for the folder with this name" in result.stderr
    assert pod.files() == ["shared-token.json"]
