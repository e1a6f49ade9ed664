"""Files for other users: as a whole or not at all, with exactly their mode."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from keeper_injector_agent.whole_files import replace_file


@pytest.mark.parametrize("mode", [0o444, 0o644, 0o555])
def test_the_mode_does_not_depend_on_the_umask(tmp_path: Path, mode: int) -> None:
    before = os.umask(0o077)
    try:
        replace_file(tmp_path / "file", b"content", mode)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode


def test_it_replaces_a_file_and_what_a_killed_process_left(tmp_path: Path) -> None:
    """The left file may be a link to somewhere else, which is not followed."""
    other = tmp_path / "other"
    other.write_bytes(b"untouched")
    (tmp_path / ".file.tmp").symlink_to(other)
    (tmp_path / "file").write_bytes(b"old")
    replace_file(tmp_path / "file", b"new", 0o644)
    assert (tmp_path / "file").read_bytes() == b"new"
    assert other.read_bytes() == b"untouched"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "other"]


def test_a_directory_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        replace_file(tmp_path / "missing/file", b"", 0o644)
