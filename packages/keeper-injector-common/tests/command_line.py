"""How tests run ``keeper-injector``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import attrs

COMMAND = (sys.executable, "-m", "keeper_injector_common.cli")
MANIFESTS = Path(__file__).parent / "data/manifests"


@attrs.frozen
class Result:
    """How a command ended."""

    code: int
    output: str
    errors: str


def run(*arguments: str, text: str = "") -> Result:
    """Run a command to its end, as a process of its own."""
    done = subprocess.run([*COMMAND, *arguments], input=text, capture_output=True, text=True, timeout=60, check=False)
    return Result(done.returncode, done.stdout, done.stderr)
