"""Atomic sets of files: readers see the old generation or the new one, whatever happens in between."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_injector_agent.delivery import files
from keeper_injector_agent.delivery.files import File
from keeper_injector_agent.errors import WriteError

SIZE = 2**20
OLD = {"user": File(b"old", 0o440), "sub/password": File(b"old", 0o400), "going": File(b"old", 0o400)}
NEW = {"user": File(b"new", 0o440), "sub/password": File(b"new", 0o400), "coming": File(b"new", 0o400)}


def write(directory: Path, content: dict[str, File]) -> bool:
    """Write a set."""
    return files.write_files(directory, content, volume_size=SIZE)


def seen(directory: Path) -> dict[str, bytes]:
    """Return the files that a reader sees that opens ``..data`` once."""
    current = (directory / "..data").resolve()
    return {str(path.relative_to(current)): path.read_bytes() for path in current.rglob("*") if path.is_file()}


def test_a_set_is_written_and_read_back(tmp_path: Path) -> None:
    """Contents and modes are as requested, and each name has one link."""
    assert write(tmp_path, OLD)
    assert files.read_files(tmp_path) == OLD
    assert (tmp_path / "sub/password").read_bytes() == b"old"
    assert sorted(path.name for path in (tmp_path / "..data").iterdir()) == ["going", "sub", "user"]


def test_an_equal_set_is_not_written(tmp_path: Path) -> None:
    """An unchanged set keeps its generation, so that readers and watchers see no event."""
    write(tmp_path, OLD)
    before = (tmp_path / "..data").readlink()
    assert not write(tmp_path, OLD)
    assert (tmp_path / "..data").readlink() == before


def test_a_change_replaces_the_whole_set(tmp_path: Path) -> None:
    """Files that are not in the new set are gone, and so is the old generation."""
    write(tmp_path, OLD)
    assert write(tmp_path, NEW)
    assert files.read_files(tmp_path) == NEW
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("..")) == [
        "coming",
        "sub",
        "user",
    ]
    assert len([path for path in tmp_path.iterdir() if path.is_dir() and not path.is_symlink()]) == 1


def test_foreign_files_are_not_touched(tmp_path: Path) -> None:
    """A directory may contain other files; a name that one of them has is an error."""
    (tmp_path / "theirs").write_text("keep", encoding="utf-8")
    write(tmp_path, OLD)
    write(tmp_path, NEW)
    assert (tmp_path / "theirs").read_text(encoding="utf-8") == "keep"
    with pytest.raises(WriteError, match="theirs: exists and was not written by Keeper Injector"):
        write(tmp_path, {"theirs": File(b"x", 0o400)})
    assert files.read_files(tmp_path) == NEW


STEPS = ["open", "mkdir", "chmod", "fchmod", "fsync", "symlink", "rename", "unlink", "rmdir", "replace"]


def killed_at(step: int, directory: Path) -> bool:
    """Write the new set in a child that dies before its *step*-th system call; return whether it died."""
    child = os.fork()
    if child == 0:
        count = 0

        def dying(call):
            def wrapper(*args, **more):
                nonlocal count
                count += 1
                if count == step:
                    os._exit(9)
                return call(*args, **more)

            return wrapper

        for name in STEPS:
            setattr(os, name, dying(getattr(os, name)))
        write(directory, NEW)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def test_a_kill_at_any_step_leaves_one_whole_set(tmp_path: Path) -> None:
    """A killed writer leaves the old set or the new one, never a mix, and the next write cleans up."""
    content = [{name: file.content for name, file in chosen.items()} for chosen in (OLD, NEW)]
    step, outcomes = 1, set()
    while True:
        directory = tmp_path / str(step)
        directory.mkdir()
        write(directory, OLD)
        died = killed_at(step, directory)
        assert seen(directory) in content
        outcomes.add(content.index(seen(directory)))
        write(directory, NEW)
        assert files.read_files(directory) == NEW
        names = sorted(path.name for path in directory.iterdir())
        assert [name for name in names if not name.startswith("..")] == ["coming", "sub", "user"]
        assert len([name for name in names if name.startswith("..")]) == 2
        if not died:
            break
        step += 1
    assert step > 20
    assert outcomes == {0, 1}


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small tmpfs needs root")
def test_a_full_volume_keeps_the_old_set(tmp_path: Path) -> None:
    """The message recommends a volume-size that is large enough."""
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)], check=False).returncode:
        pytest.skip("this machine does not let us mount")
    try:
        write(tmp_path, OLD)
        with pytest.raises(WriteError, match=r"no space left for 1 files; set keeper\.security/volume-size to 2Mi"):
            write(tmp_path, {"big": File(b"x" * 100_000, 0o400)})
        assert files.read_files(tmp_path) == OLD
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


NAMES = st.from_regex(r"[a-c](/[a-c])?", fullmatch=True)
SETS = st.dictionaries(NAMES, st.builds(File, st.binary(max_size=4), st.sampled_from([0o400, 0o440]))).filter(
    lambda content: not any(name in {other.split("/")[0] for other in content if "/" in other} for name in content)
)


@given(st.lists(SETS, max_size=4))
def test_any_sequence_of_sets_is_written(tmp_path_factory: pytest.TempPathFactory, sets: list[dict[str, File]]) -> None:
    """After each write the directory contains exactly that set, and a second write changes nothing."""
    directory = tmp_path_factory.mktemp("sets")
    for content in sets:
        write(directory, content)
        assert files.read_files(directory) == content
        assert not write(directory, content)
