"""The output of generators: write the file, or with ``--check`` report that it is out of date."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def deliver(path: str, text: str) -> int:
    """Write *text* to *path* below the repository's root, or compare the two. Return the exit code."""
    file = ROOT / path
    if "--check" not in sys.argv[1:]:
        file.write_text(text, encoding="utf-8")
        print(f"{path}: written")
        return 0
    if file.is_file() and file.read_text(encoding="utf-8") == text:
        return 0
    print(f"{path}: out of date; run ./tools/run docs --write", file=sys.stderr)
    return 1
