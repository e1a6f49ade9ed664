"""Directories: the files that a plan names, together with those of folders."""

from __future__ import annotations

import os

import pytest
from agent_pods import AgentPod, item, plan_folder

from local_keeper import LocalKeeper

pytestmark = pytest.mark.both_ways


def test_a_folder_and_files_share_a_directory(pod: AgentPod, keeper: LocalKeeper) -> None:
    """In a directory with a folder, a removed record's own file is removed and the folder's files stay."""
    plan_folder(pod, item("own", "two-factor[login]"), on_removal="remove")
    assert pod.run("init").returncode == 0
    keeper.remove_record("two-factor")
    assert pod.run("once").returncode == os.EX_DATAERR
    assert pod.files() == ["mysql.json", "redis.json"]
