"""Helpers that run ``keeper-injector`` as a process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import attrs

COMMAND = (sys.executable, "-m", "keeper_injector_common.cli")
MANIFESTS = Path(__file__).parents[1] / "data/manifests"


@attrs.frozen
class Result:
    """The exit code and the output of a command."""

    code: int
    output: str
    errors: str


def run(*arguments: str, text: str = "") -> Result:
    """Run ``keeper-injector`` with *arguments*, and with *text* as standard input."""
    done = subprocess.run([*COMMAND, *arguments], input=text, capture_output=True, text=True, timeout=60, check=False)
    return Result(done.returncode, done.stdout, done.stderr)


def lint(name: str, *arguments: str) -> list[str]:
    """Return the findings in one of the manifests, without its path."""
    found = run("lint", *arguments, str(MANIFESTS / name))
    return [line.removeprefix(f"{MANIFESTS / name}:") for line in found.output.splitlines()]
