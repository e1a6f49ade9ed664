"""Records that are removed, ambiguous or undecryptable, and what becomes of their files."""

from __future__ import annotations

import os

import pytest
from agent_pods import AgentPod

from local_keeper import Fault, LocalKeeper


@pytest.mark.parametrize(("on_removal", "left"), [("keep", ["gone", "there"]), ("remove", ["there"])])
def test_a_removed_record_keeps_or_loses_its_files(
    pod: AgentPod, keeper: LocalKeeper, on_removal: str, left: list[str]
) -> None:
    """``on-removal`` decides what becomes of the file of a removed record; an outage removes nothing."""
    pod.wants({"gone": "two-factor[login]", "there": "api-keys[login]"}, on_removal=on_removal)
    assert pod.run("init").returncode == 0
    keeper.fault(Fault.api_error("internal", status=500), "get_secret", None)
    pod.run("once")
    assert pod.files() == ["gone", "there"]
    keeper.clear_faults()
    keeper.remove_record("two-factor")
    assert pod.run("once").returncode == os.EX_DATAERR
    assert pod.files() == left


def test_an_undecryptable_record_is_not_removed(pod: AgentPod, keeper: LocalKeeper) -> None:
    """Even with ``on-removal: remove`` an undecryptable record keeps its files, whether named by title or UID."""
    pod.wants({"t": "two-factor[login]", "u": f"{keeper.uid('two-factor')}[login]"}, on_removal="remove")
    assert pod.run("init").returncode == 0
    keeper.corrupt_record("two-factor")
    result = pod.run("once")
    assert result.returncode == os.EX_DATAERR
    assert f"({keeper.uid('two-factor')})" in result.stderr
    assert pod.files() == ["t", "u"]


def test_a_file_stays_if_its_title_becomes_ambiguous(pod: AgentPod, keeper: LocalKeeper) -> None:
    """Only a record that is deleted or not shared any more is removed, not one whose title became ambiguous."""
    pod.wants({"t": "two-factor[login]", "x": "api-keys[login]"}, on_removal="remove", strict_lookup=True)
    assert pod.run("init").returncode == 0
    keeper.add_record({"title": "two-factor", "type": "login", "fields": {"login": "second"}})
    assert pod.run("once").returncode == os.EX_DATAERR
    assert pod.files() == ["t", "x"]
