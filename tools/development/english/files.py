"""The files whose language is checked: all that people write in this repository."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

from english.prose import LANGUAGES, language_of

ROOT = Path(__file__).parents[3]
EXCLUDED = (
    "LICENSE",
    "tools/bootstrap.txt",
    "tools/constraints.txt",
    "tools/development/english/phrases.py",  # it contains what it forbids
    "tools/development/tests/test_english.py",  # the same
)


def written_files(paths: Iterable[Path] = ()) -> list[Path]:
    """Return the files below *paths*, or all of the repository, that git does not ignore and that contain prose."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--"]
    wanted = [str(path.resolve()) for path in paths]
    listed = subprocess.check_output([*command, *wanted], cwd=ROOT, text=True)
    files = [ROOT / name for name in sorted(set(listed.split("\0"))) if name and _is_checked(name)]
    return [file for file in files if file.is_file()]


def _is_checked(name: str) -> bool:
    """Return whether a file contains our prose: data of tests does not, except for the comments of golden files."""
    if name in EXCLUDED or name.endswith("/LICENSE"):
        return False
    if "/tests/data/" in name and "/tests/data/golden/" not in name:
        return False
    return language_of(name) in LANGUAGES
