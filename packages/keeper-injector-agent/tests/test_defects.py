"""The table ``defects.md`` names existing tests."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent


def test_every_defect_is_covered_by_a_test() -> None:
    """Every row names at least one test, and each of them exists in its file."""
    rows = [line for line in (HERE / "defects.md").read_text(encoding="utf-8").splitlines() if re.match(r"\| \d", line)]
    assert len(rows) > 20
    for row in rows:
        named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", row)
        assert named, row
        for file, function in named:
            texts = [
                path.read_text(encoding="utf-8") for path in HERE.rglob(file)
            ]  # keeper/ and delivery/ have folders
            assert any(f"def {function}(" in text for text in texts), f"{file}::{function}"
