"""What the files of an image say about it: its size, and whether an attacker finds something to run."""

from __future__ import annotations

import os
import re
import stat
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import attrs

_PROGRAMS = re.compile(r"(?:^|/)s?bin/(?P<name>[^/]+)$")
_OURS = re.compile(r"python3(?:\.\d+)?|keeper-injector(?:-\w+)?")
_INSTALLERS = re.compile(r"(?:^|/)(?:pip|setuptools|ensurepip|apt|dpkg)/[^/]+$|\.(?:deb|rpm|whl)$")
"""Folders of installers. Only ``var/lib/dpkg/status.d``, with two more parts, is for scanners."""


@attrs.frozen
class File:
    """A file of an image that is not a folder."""

    path: str
    """Without a leading slash."""
    mode: int
    """As in ``stat``: permissions with the bits setuid, setgid and sticky."""
    size: int = 0
    """In bytes; 0 for links."""


def of_folder(root: Path) -> list[File]:
    """Return the files below *root*, in the order of their paths."""
    return sorted(_walk(root), key=lambda file: file.path)


def _walk(root: Path) -> Iterator[File]:
    for folder, folders, names in os.walk(root):
        for name in [*names, *(name for name in folders if Path(folder, name).is_symlink())]:
            path = Path(folder, name)
            found = path.lstat()
            size = found.st_size if stat.S_ISREG(found.st_mode) else 0
            yield File(str(path.relative_to(root)), stat.S_IMODE(found.st_mode), size)


def of_tar(archive: Path) -> list[File]:
    """Return the files of a root file system that docker or podman exported, in the order of their paths."""
    with tarfile.open(archive) as content:
        files = [File(item.name.removeprefix("./"), item.mode, item.size) for item in content if not item.isdir()]
    return sorted(files, key=lambda file: file.path)


def size(files: Iterable[File]) -> int:
    """Return the size of all files in bytes."""
    return sum(file.size for file in files)


def problems(files: Iterable[File]) -> list[str]:
    """Return what an attacker could use: programs that are not ours, installers, and files that change the user."""
    found = []
    for file in files:
        program = _PROGRAMS.search(file.path)
        if program and not _OURS.fullmatch(program["name"]):
            found.append(f"/{file.path}: a program that is not needed")
        if _INSTALLERS.search(file.path):
            found.append(f"/{file.path}: part of a package manager")
        if file.mode & (stat.S_ISUID | stat.S_ISGID):
            found.append(f"/{file.path}: changes the user or group when it runs")
    return found
