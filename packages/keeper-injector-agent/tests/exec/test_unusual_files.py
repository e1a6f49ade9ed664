"""Files of variables that are missing, of another kind, or writable by all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from exec_shell import Shell, assert_rejected

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize("path", ["absent", "variables-file/below", "dangling"])
def test_a_missing_file_is_unavailable(shell: Shell, path: str) -> None:
    """A missing file is not the user's mistake; the message says where to look."""
    shell.file(b"", "variables-file")
    (shell.folder / "dangling").symlink_to("nowhere")
    outcome = shell.call(["--file", shell.folder / path, "--", shell.built / "show"])
    assert_rejected(outcome, os.EX_UNAVAILABLE, str(shell.folder / path), "init container")


def _make_directory(path: Path) -> None:
    path.mkdir()


def _make_fifo(path: Path) -> None:
    os.mkfifo(path)


def test_a_loop_of_symbolic_links_is_reported(shell: Shell) -> None:
    """The system's reason why a file cannot be opened is part of the message."""
    (shell.folder / "circle").symlink_to("circle")
    outcome = shell.call(["--file", shell.folder / "circle", "--", shell.built / "show"])
    assert_rejected(outcome, os.EX_IOERR, str(shell.folder / "circle"))


@pytest.mark.parametrize("make", [_make_directory, _make_fifo], ids=["directory", "fifo"])
def test_file_must_be_regular(shell: Shell, make: Callable[[Path], None]) -> None:
    """A directory or a FIFO is rejected at once, without waiting for a writer."""
    make(shell.folder / "thing")
    outcome = shell.call(["--file", shell.folder / "thing", "--", shell.built / "show"])
    assert_rejected(outcome, os.EX_CONFIG, str(shell.folder / "thing"), "not a regular file")


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null"])
def test_a_device_is_rejected(shell: Shell, path: str) -> None:
    """An endless device is not read."""
    assert_rejected(shell.call(["--file", path, "--", "true"]), os.EX_CONFIG, path, "not a regular")


def test_a_world_writable_file_is_rejected(shell: Shell) -> None:
    """Anyone could have written a world-writable file; group-writable files are what fsGroup makes of volumes."""
    open_file = shell.file(b"A=1\0", "open", mode=0o446)
    group_file = shell.file(b"A=1\0", "group", mode=0o664)
    command = ("--", shell.built / "show")
    assert_rejected(shell.call(["--file", open_file, *command]), os.EX_CONFIG, str(open_file), "0446")
    assert shell.call(["--file", group_file, *command]).environment[b"A"] == b"1"
