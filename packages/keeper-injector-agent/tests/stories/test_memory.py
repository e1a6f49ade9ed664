"""The memory of the agent: how often attachments and the answers of Keeper are in the memory of a refresh."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from agent_pods import VOLUME, AgentPod

from local_keeper import LocalKeeper

SIZE = 25 * 2**20
PEAK = """
import os, sys
process = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(process, 0)
print(os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024)
"""
"""Starts a program from a small process: the peak of a child includes that of its parent."""


def peak(pod: AgentPod, command: str) -> int:
    """Run a command of the agent, which must succeed, and return its peak of memory in bytes."""
    line = [sys.executable, "-I", "-S", "-c", PEAK, *pod.command(command)]
    output = subprocess.run(line, capture_output=True, text=True, timeout=60, check=True).stdout
    code, size = map(int, output.split())
    assert code == 0
    return size


@pytest.fixture(name="large")
def _large(pod: AgentPod, keeper: LocalKeeper) -> AgentPod:
    """A pod that wants one attachment."""
    keeper.add_record({"title": "image", "files": {"disk.img": b"small"}})
    pod.wants({"disk.img": "keeper://image/file/disk.img"}, volume_size=4 * SIZE)
    return pod


def test_an_attachment_is_in_memory_once(large: AgentPod, keeper: LocalKeeper) -> None:
    """The first one and its successor: only pages of the previous one, which are in the volume anyway, are counted besides."""
    without = peak(large, "init")
    for copies in (1.2, 2.2):
        content = os.urandom(SIZE)
        keeper.set_file("image", "disk.img", content)
        assert peak(large, "once") - without < copies * SIZE
        assert large.at(f"{VOLUME}/disk.img").read_bytes() == content


def test_a_refresh_without_a_change_does_not_read_it(large: AgentPod, keeper: LocalKeeper) -> None:
    """A file that stays is mapped from the volume: only its pages, which are in memory anyway, are counted."""
    without = peak(large, "init")
    keeper.set_file("image", "disk.img", os.urandom(SIZE))
    assert large.run("once").returncode == 0
    assert peak(large, "once") - without < 1.2 * SIZE
    assert keeper.requests["file_download"] == 2


def test_a_damaged_attachment_keeps_the_file(large: AgentPod, keeper: LocalKeeper) -> None:
    """What has been decrypted before the end of a damaged download is not delivered."""
    assert large.run("init").returncode == 0
    keeper.set_file("image", "disk.img", os.urandom(2**20))
    keeper.vault.find("image").files[0].damaged = True
    result = large.run("once")
    assert result.returncode == os.EX_DATAERR
    assert large.file("disk.img") == "small"
    assert "file 'disk.img' cannot be decrypted" in result.stderr


def test_an_answer_is_in_memory_less_than_three_times(pod: AgentPod, keeper: LocalKeeper) -> None:
    """Of all records of an application, the pod wants one by its title: the others are in no more copies than the limit counts."""
    pod.wants({"login": "api-keys[login]"})
    without = peak(pod, "init")
    count, size = 600, 16 * 1024
    for number in range(count):
        keeper.add_record({"title": f"record {number}", "fields": {"password": os.urandom(size // 2).hex()}})
    in_base64 = count * size * 4 / 3
    assert peak(pod, "once") - without < 2.6 * in_base64
