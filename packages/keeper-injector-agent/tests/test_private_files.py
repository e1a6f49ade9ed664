"""Private files: readable by their owner alone, and complete or absent."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from keeper_injector_agent.private_files import create_private_file, replace_private_file


def test_a_private_file_is_replaced(tmp_path: Path) -> None:
    """Only the owner can read the file, and no temporary file remains."""
    path = tmp_path / "state.json"
    replace_private_file(path, "first")
    replace_private_file(path, "second")
    assert path.read_text(encoding="utf-8") == "second"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_writer_left_is_overwritten(tmp_path: Path) -> None:
    """The temporary file of a writer that was killed does not get in the way of the next one."""
    (tmp_path / ".state.json.tmp").write_text("left over, and longer than the new content", encoding="utf-8")
    replace_private_file(tmp_path / "state.json", "new")
    assert (tmp_path / "state.json").read_text(encoding="utf-8") == "new"


def test_an_existing_file_is_not_created_again(tmp_path: Path) -> None:
    """The existing file stays as it is, and no temporary file remains."""
    path = tmp_path / "config.json"
    create_private_file(path, "first")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        create_private_file(path, "second")
    assert path.read_text(encoding="utf-8") == "first"
    assert list(tmp_path.iterdir()) == [path]
