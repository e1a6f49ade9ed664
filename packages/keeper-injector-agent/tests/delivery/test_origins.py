"""A name that comes to mean another record: never silently, and never against what the name says."""

from __future__ import annotations

import json
import os

import pytest
from agent_pods import AgentPod, events, plan_folder

from local_keeper import LocalKeeper

LOW, HIGH, MIDDLE = ("A" * 22, "w" * 21 + "A", "M" * 21 + "A")
"""UIDs in the order in which names without an origin prefer them: LOW, MIDDLE, HIGH."""


def add(keeper: LocalKeeper, title: str, uid: str, folder: str = "") -> None:
    """Add a record whose password is its UID."""
    keeper.add_record({"title": title, "uid": uid, "fields": {"password": uid}}, folder)


def logged(log: str, event: str) -> list[dict[str, object]]:
    """Return the lines of one event."""
    return [line for line in events(log) if line["event"] == event]


def test_a_duplicate_does_not_take_over_a_title(pod: AgentPod, keeper: LocalKeeper) -> None:
    """The record that the name meant stays, although a new one with a lower UID would win in a new pod."""
    add(keeper, "db", MIDDLE)
    pod.wants({"x": "db[password]"})
    assert pod.run("init").returncode == 0
    add(keeper, "db", LOW)
    result = pod.run("once")
    assert (result.returncode, pod.file("x")) == (0, MIDDLE)
    (line,) = logged(result.stderr, "record.ambiguous")
    assert (line["uid"], line["others"]) == (MIDDLE, [LOW])


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("act", ["removed", "renamed"])
def test_a_replaced_record_is_reported(pod: AgentPod, keeper: LocalKeeper, act: str, *, strict: bool) -> None:
    """The other record of the title is delivered and reported once; with strict-lookup, the old content stays."""
    add(keeper, "db", MIDDLE)
    pod.wants({"x": "db[password]", "y": "api-keys[login]"}, strict_lookup=strict)
    assert pod.run("init").returncode == 0
    if act == "removed":
        keeper.remove_record(MIDDLE)
    else:
        keeper.vault.find(MIDDLE).data["title"] = "old db"
    add(keeper, "db", HIGH)
    for attempt in range(2):
        result = pod.run("once")
        if strict:
            assert (result.returncode, pod.file("x")) == (os.EX_DATAERR, MIDDLE)
            assert f"it meant the record {MIDDLE}" in result.stderr
            assert f"would mean another record, 'db' ({HIGH})" in result.stderr
            continue
        assert (result.returncode, pod.file("x")) == (0, HIGH)
        lines = logged(result.stderr, "reference.changed")
        assert [(line["uid"], line["previous_uid"], line["title"]) for line in lines] == [(HIGH, MIDDLE, "db")][
            attempt:
        ]
    status = json.loads(pod.run("status", "-o", "json").stdout)
    (reference,) = [item for item in status["references"] if item["reference"] == "db"]
    assert (reference["uid"], reference["previousUid"]) == ((MIDDLE, None) if strict else (HIGH, MIDDLE))
    assert status["replacements"] == (0 if strict else 1)
    assert (f"'db' means {HIGH}" in pod.run("status").stdout) is not strict


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("reference", ["Production/Databases/mysql", HIGH])
def test_a_title_never_replaces_a_uid_or_a_path(
    pod: AgentPod, keeper: LocalKeeper, reference: str, *, strict: bool
) -> None:
    """If the record is gone, another one that is only titled so keeps its value for itself, also in a restarted pod."""
    original = reference
    if reference == HIGH:
        add(keeper, "original", HIGH)
    else:
        folder = keeper.vault.find("redis").folder
        original = next(
            item.uid for item in keeper.vault.records.values() if item.title == "mysql" and item.folder == folder
        )
    pod.wants({"x": f"{reference}[password]", "y": "api-keys[login]"}, strict_lookup=strict)
    assert pod.run("init").returncode == 0
    before = pod.file("x")
    add(keeper, reference, LOW)
    keeper.remove_record(original)
    result = pod.run("once")
    assert (result.returncode, pod.file("x")) == (os.EX_DATAERR, before)
    if not strict:
        assert f"it meant the record {original}, which is not shared with this application any more" in result.stderr


def test_a_name_that_was_found_as_a_title_says_how_to_write_it(pod: AgentPod, keeper: LocalKeeper) -> None:
    """The warning comes once, with the UID and an escaped title, and status repeats it; the exact names are not reported."""
    add(keeper, "Prod/DB", MIDDLE)
    pod.wants({"x": "Prod/DB[password]"})
    result = pod.run("init")
    (line,) = logged(result.stderr, "reference.by_title")
    assert line["write"] == rf"{MIDDLE}, or Prod\/DB for the title"
    assert not logged(pod.run("once").stderr, "reference.by_title")
    assert str(line["write"]) in pod.run("status").stdout
    pod.wants({"x": f"{MIDDLE}[password]", "y": r"Prod\/DB[password]"})
    assert not logged(pod.run("once").stderr, "reference.by_title")


def test_an_undecryptable_record_keeps_its_name(pod: AgentPod, keeper: LocalKeeper) -> None:
    """While the record that the name meant cannot be decrypted, another one of its title does not replace it."""
    add(keeper, "db", MIDDLE)
    pod.wants({"x": "db[password]", "y": "api-keys[login]"})
    assert pod.run("init").returncode == 0
    add(keeper, "db", HIGH)
    keeper.corrupt_record(MIDDLE)
    result = pod.run("once")
    assert (result.returncode, pod.file("x")) == (os.EX_DATAERR, MIDDLE)
    assert f"it meant the record {MIDDLE}, which cannot be read now" in result.stderr


def test_a_record_that_returns_is_meant_again(pod: AgentPod, keeper: LocalKeeper) -> None:
    """With strict-lookup, the problem ends as soon as the original is back and the other one is gone."""
    add(keeper, "db", MIDDLE)
    pod.wants({"x": "db[password]"}, strict_lookup=True)
    assert pod.run("init").returncode == 0
    keeper.remove_record(MIDDLE)
    add(keeper, "db", HIGH)
    assert pod.run("once").returncode == os.EX_DATAERR
    keeper.remove_record(HIGH)
    add(keeper, "db", MIDDLE)
    assert pod.run("once").returncode == 0


@pytest.mark.parametrize("act", ["removed", "renamed"])
@pytest.mark.parametrize("strict", [False, True])
def test_a_file_of_a_folder_never_silently_comes_from_another_record(
    pod: AgentPod, keeper: LocalKeeper, act: str, *, strict: bool
) -> None:
    """The duplicate takes the name with a warning; with strict-lookup it keeps its UID in the name, and the old file its content."""
    folder = keeper.vault.find("redis").folder
    original = keeper.uid("redis")
    plan_folder(pod, strict_lookup=strict)
    assert pod.run("init").returncode == 0
    before = pod.file("redis.json")
    add(keeper, "redis", HIGH, folder)
    assert pod.run("once").returncode == 0
    if act == "removed":
        keeper.remove_record(original)
    else:
        keeper.vault.find(original).data["title"] = "cache"
    for attempt in range(2):
        result = pod.run("once")
        lines = logged(result.stderr, "reference.changed")
        if strict:
            assert result.returncode == (os.EX_DATAERR if act == "removed" else 0)
            assert HIGH in pod.file(f"redis-{HIGH}.json")
            assert ("redis.json" in pod.files()) is (act == "removed")
            assert act == "renamed" or pod.file("redis.json") == before
            assert not lines
            continue
        assert result.returncode == 0
        assert HIGH in pod.file("redis.json")
        changed = [("/app/redis.json", HIGH, original)]
        assert [(line["reference"], line["uid"], line["previous_uid"]) for line in lines] == changed[attempt:]
    assert (f"'/app/redis.json' means {HIGH}" in pod.run("status").stdout) is not strict
