"""A short soak test; `./tools/run soak` runs the long one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SOAK = Path(__file__).parents[2] / "bench/soak_agent.py"


def test_a_dozen_refreshes_under_faults() -> None:
    """Files are always of one generation, and the sidecar's memory, descriptors and children do not grow."""
    command = [sys.executable, str(SOAK), "--refreshes", "12", "--seed", "7"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("12 refreshes: ")
