"""A few seconds of the soak; `./tools/run soak webhook` runs it for ten minutes with all inputs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SOAK = Path(__file__).parents[2] / "bench/soak_webhook.py"


def test_normal_reviews_are_answered_beside_hostile_clients() -> None:
    """While clients send bodies over the limit, every normal review is answered and the memory stays bounded."""
    command = [sys.executable, str(SOAK), "--minutes", "0.1", "--only", "clients: a length over"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert result.returncode == 0, f"{result.stdout}{result.stderr}"
