"""Sets of files that change together: the whole content of a directory is swapped by one rename of a symbolic link.

The layout is that of Kubernetes' own volumes (AtomicWriter in pkg/volume/util)::

    DIRECTORY/
      ..2026_11_24_09_30_00.k3j9x1/   one generation: the files themselves
      ..data -> ..2026_11_24_…        the current generation; replaced by rename(2)
      db.json -> ..data/db.json       one link for each first component of a name, created once

A reader that opens ``DIRECTORY/..data`` once sees a single generation. A writer that is killed between any two system calls
leaves either the old or the new set current, and the next write removes what it left behind.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from keeper_injector_agent.errors import WriteError

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterator

_DATA = "..data"
_NEW_DATA = "..data_tmp"
_DIRECTORY_MODE = 0o755
_LARGE = 1024 * 1024
_BLOCK = 64 * 1024


class File(NamedTuple):
    """The content of a file, which ``repr`` does not show, and its mode."""

    content: bytes | mmap.mmap
    mode: int

    def __repr__(self) -> str:
        return f"File(mode={self.mode:o})"


_FileSet = Mapping[str, File]
"""Files by their path below the directory."""


def read_files(directory: Path) -> dict[str, File]:
    """Return the current set of *directory*, or an empty one if nothing was written there yet."""
    current = directory / _DATA
    if not current.is_dir():
        return {}
    return {name: File(_content(path), stat.S_IMODE(path.stat().st_mode)) for name, path in _paths(current).items()}


def _paths(current: Path) -> dict[str, Path]:
    """Return the path of every file below *current* by its name there."""
    return {str(path.relative_to(current)): path for path in sorted(current.rglob("*")) if path.is_file()}


def _content(path: Path) -> bytes | mmap.mmap:
    """Return the content of a file. A large one is mapped: it is in memory already, and would be there a second time."""
    if path.stat().st_size < _LARGE:
        return path.read_bytes()
    import mmap

    with path.open("rb") as stream:
        return mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ)


def _is_current(directory: Path, files: _FileSet) -> bool:
    """Return whether *files* are the current set of *directory*, without reading a file as a whole."""
    present = _paths(directory / _DATA) if (directory / _DATA).is_dir() else {}
    return present.keys() == files.keys() and all(_is_equal(path, files[name]) for name, path in present.items())


def _is_equal(path: Path, file: File) -> bool:
    status = path.stat()
    if stat.S_IMODE(status.st_mode) != file.mode or status.st_size != len(file.content):
        return False
    wanted = memoryview(file.content)
    with path.open("rb") as stream:
        return all(stream.read(_BLOCK) == wanted[start : start + _BLOCK] for start in range(0, len(wanted), _BLOCK))


def digest_files(files: _FileSet, digest: Callable[..., str]) -> str:
    """Return a digest of *files* by name, mode and content; *digest* is :meth:`State.digest`."""
    parts = ((name.encode(), f"{file.mode:o}".encode(), file.content) for name, file in sorted(files.items()))
    return digest(*(part for file in parts for part in file))


def is_settled(directory: Path, files: _FileSet) -> bool:
    """Return whether :func:`write_files` would do nothing, if *files* are the current set: no link is missing, nothing is left over."""
    try:
        current = str((directory / _DATA).readlink())
        links = {link.name for link in _own_links(directory)}
        leftovers = {path.name for path in directory.glob("..*")} - {_DATA, current}
    except OSError:
        return False
    return not leftovers and links == {name.split("/", 1)[0] for name in files}


def write_files(directory: Path, files: _FileSet, *, volume_size: int) -> bool:
    """Make *files* the whole set of *directory* and return whether that changed anything.

    A set that is already current is not written again. Raises :class:`WriteError`; then the old set is still current.
    *volume_size* is the size of the memory volume in bytes, for the message when it is full.
    """
    try:
        if _is_current(directory, files):
            _link_names(directory, files)
            _remove_leftovers(directory)
            return False
        _reject_foreign_files(directory, files)
        _remove_leftovers(directory)
        generation = _write_generation(directory, files)
        _make_current(directory, generation)
        _link_names(directory, files)
        _remove_leftovers(directory)
    except OSError as error:
        raise WriteError(_describe(directory, files, error, volume_size)) from None
    return True


def _write_generation(directory: Path, files: _FileSet) -> str:
    name = f"..{time.strftime('%Y_%m_%d_%H_%M_%S')}.{os.urandom(4).hex()}"
    top = directory / name
    _make_directory(top)
    for relative, file in files.items():
        for parent in reversed(Path(relative).parents[:-1]):
            _make_directory(top / parent)
        _write_file(top / relative, file)
    _sync(top)
    return name


def _make_directory(path: Path) -> None:
    path.mkdir(_DIRECTORY_MODE, exist_ok=True)
    # mkdir applies the umask, chmod does not. Keep the set-group-ID bit: with fsGroup it gives the files their group.
    path.chmod(_DIRECTORY_MODE | (path.stat().st_mode & stat.S_ISGID))


def _write_file(path: Path, file: File) -> None:
    # Created without any permission for others, so that nobody can open it before it has its mode.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o200)
    with open(descriptor, "wb") as stream:  # noqa: PTH123 - an open descriptor
        stream.write(file.content)
        stream.flush()
        os.fchmod(descriptor, file.mode)
        os.fsync(descriptor)


def _make_current(directory: Path, generation: str) -> None:
    new = directory / _NEW_DATA
    new.symlink_to(generation)
    new.rename(directory / _DATA)
    _sync(directory)


def _link_names(directory: Path, files: _FileSet) -> None:
    """Add missing links to the current set, then remove those whose file is gone."""
    wanted = {name.split("/", 1)[0] for name in files}
    for name in wanted:
        link = directory / name
        if not link.is_symlink():
            link.symlink_to(f"{_DATA}/{name}")
    for link in _own_links(directory):
        if link.name not in wanted:
            link.unlink()


def _own_links(directory: Path) -> Iterator[Path]:
    for path in directory.iterdir():
        if path.is_symlink() and str(path.readlink()) == f"{_DATA}/{path.name}":
            yield path


def _reject_foreign_files(directory: Path, files: _FileSet) -> None:
    own = {link.name for link in _own_links(directory)}
    for name in {name.split("/", 1)[0] for name in files} - own:
        if os.path.lexists(directory / name):
            raise WriteError(
                f"{directory / name}: exists and was not written by Keeper Injector; remove it or choose another path"
            )


def _remove_leftovers(directory: Path) -> None:
    """Remove generations that are not current, and a link that was not renamed to ``..data``."""
    current = directory / _DATA
    keep = str(current.readlink()) if current.is_symlink() else ""
    for path in directory.glob("..*"):
        if path.name == _NEW_DATA:
            path.unlink()
        elif path.name not in {_DATA, keep} and path.is_dir() and not path.is_symlink():
            import shutil  # here, because it takes 3 ms and most refreshes remove nothing

            shutil.rmtree(path)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _describe(directory: Path, files: _FileSet, error: OSError, volume_size: int) -> str:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        # The old and the new set exist side by side until the swap, and tmpfs counts whole pages.
        needed = 2 * sum(-(-len(file.content) // 4096) * 4096 + 4096 for file in files.values())
        fitting = max(volume_size * 2, needed)
        megabytes = -(-fitting // 2**20)
        return f"no space left for {len(files)} files; set keeper.security/volume-size to {megabytes}Mi"
    return f"{directory}: {error.strerror or type(error).__name__} ({errno.errorcode.get(error.errno or 0, '?')})"
