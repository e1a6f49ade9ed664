"""The commit that is built, and its files in a separate folder."""

from __future__ import annotations

import subprocess
import tarfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import attrs

from artifacts.errors import ArtifactError

SOURCE = "https://github.com/keeper-security/keeper-injector"


@attrs.frozen
class Commit:
    """A commit whose files are in *folder*. Nothing else of a working tree is there, such as ignored or uncommitted files."""

    revision: str
    """All 40 hexadecimal digits."""
    epoch: int
    """Unix time of the commit: SOURCE_DATE_EPOCH of everything that is built."""
    folder: Path


def export(repository: Path, folder: Path) -> Commit:
    """Write the files of the last commit to *folder*. Raises ArtifactError if git cannot."""
    revision, epoch = run("git", "-C", str(repository), "log", "-1", "--format=%H %ct").decode().split()
    files = run("git", "-C", str(repository), "archive", "--format=tar", revision)
    with tarfile.open(fileobj=BytesIO(files)) as archive:
        archive.extractall(folder, filter="data")
    return Commit(revision, int(epoch), folder)


def run(*command: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> bytes:
    """Return the standard output of a command. Raises ArtifactError with its messages if it fails."""
    try:
        done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, check=False)
    except FileNotFoundError:
        raise ArtifactError(f"{command[0]}: not found on PATH; install it") from None
    if done.returncode:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise ArtifactError(f"{' '.join(command[:4])} …: exit code {done.returncode}\n{said[-2000:]}")
    return done.stdout
