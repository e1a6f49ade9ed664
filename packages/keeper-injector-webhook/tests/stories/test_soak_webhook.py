"""A few seconds of the soak; `./tools/run soak webhook` runs it for ten minutes with all inputs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).parents[2] / "bench/soak_webhook.py"


@pytest.mark.parametrize(
    "only",
    [
        pytest.param("clients: a length over", id="clients that send bodies over the limit"),
        pytest.param("crowd", id="a namespace that floods the webhook with legal pods"),
    ],
)
def test_normal_reviews_are_answered_beside_hostile_ones(only: str) -> None:
    """While others take what they can, every normal review of another namespace is answered and the memory stays bounded."""
    command = [sys.executable, str(SOAK), "--minutes", "0.1", "--only", only]
    result = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert result.returncode == 0, f"{result.stdout}{result.stderr}"
