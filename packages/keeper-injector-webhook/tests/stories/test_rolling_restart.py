"""A short rolling restart under load; `./tools/run soak` runs a long one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SOAK = Path(__file__).parents[2] / "bench/soak_rolling_restart.py"


def test_no_review_fails_while_replicas_are_replaced() -> None:
    """A client with kept-alive connections sees no failed review while each replica drains and is replaced."""
    command = [sys.executable, str(SOAK), "--requests", "6000"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert result.returncode == 0, f"{result.stdout}{result.stderr}"
    assert ": 0 failed" in result.stdout
