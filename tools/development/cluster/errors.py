"""Errors of a cluster, with messages for people."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


class ClusterError(Exception):
    """A cluster cannot do what was requested; the message says why and what to do."""


def run(*command: str | Path, stdin: bytes | None = None, environment: Mapping[str, str] | None = None) -> str:
    """Run *command* and return its output. Raises :class:`ClusterError` with its stderr if it fails."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(words, input=stdin, capture_output=True, check=False, env=environment)
    except FileNotFoundError:
        raise ClusterError(f"{words[0]}: not found on PATH; ./tools/run cluster install") from None
    if done.returncode:
        raise ClusterError(f"{failure(words, done.returncode)}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode(errors="replace")


def failure(command: Sequence[str], code: int) -> str:
    """Return a message that *command* failed, without its arguments."""
    return f"{' '.join(command[:3])}: exit code {code}"
