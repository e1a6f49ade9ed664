"""How generators end: they write their file, or with ``--check`` say that it is not what they would write."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def deliver(path: str, text: str) -> int:
    """Write *text* to *path* below the repository's root, or compare; returns the exit code."""
    file = ROOT / path
    if "--check" not in sys.argv[1:]:
        file.write_text(text, encoding="utf-8")
        print(f"{path}: written")
        return 0
    if file.is_file() and file.read_text(encoding="utf-8") == text:
        return 0
    print(f"{path}: not what the code says; run ./tools/run docs --write", file=sys.stderr)
    return 1
