"""What all commands share: reading files and standard input, colour where a person looks, and how a command stops."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

FINE, PROBLEMS, UNUSABLE, PIPE_CLOSED, INTERRUPTED = 0, 1, 2, 141, 130
"""Exit codes: nothing to say; something to mend; the command could not do its work; and what shells have for signals."""
SUFFIXES = (".yaml", ".yml", ".json")
STDIN = Path("-")
CODES = {"red": "31", "yellow": "33", "green": "32", "bold": "1", "dim": "2"}


class Stop(Exception):  # noqa: N818 - what it does
    """The command cannot go on; the message is for the person who started it."""


class Unreadable(Stop):
    """A file that cannot be read; *reason* is the message without its name."""

    def __init__(self, path: Path, reason: str) -> None:
        self.reason = reason
        super().__init__(f"{path}: {reason}")


def read(path: Path) -> str:
    """Return the text of a file, of standard input for ``-``; raises :class:`Unreadable`."""
    try:
        content = sys.stdin.buffer.read() if path == STDIN else path.read_bytes()
    except OSError as error:
        raise Unreadable(path, f"{(error.strerror or str(error)).lower()}; name a file that can be read") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(path, f"byte {error.start + 1} is not UTF-8; write the file as UTF-8") from None


def files(paths: Iterable[Path]) -> Iterator[Path]:
    """Iterate over *paths*, directories replaced by the manifests below them.

    A Helm chart's templates are no YAML before Helm has rendered them: they are left out, and standard error says so.
    """
    for path in paths:
        if path == STDIN or not path.is_dir():
            yield path
            continue
        found = sorted(item for item in path.rglob("*") if item.suffix in SUFFIXES and item.is_file())
        charts = {item.parent / "templates" for item in found if item.name == "Chart.yaml"}
        for chart in sorted(charts):
            if chart.is_dir():
                note(f"{chart}: left out; check them with: helm template {chart.parent} | keeper-injector lint -")
        yield from (item for item in found if not charts.intersection(item.parents))


def nothing_found() -> None:
    """Tell the person that silence means nothing was there to look at."""
    note("no workloads found")


def note(text: str) -> None:
    """Tell the person something that is no result."""
    print(f"keeper-injector: {text}", file=sys.stderr)


def pipe_closed() -> int:
    """Return the exit code for when whoever read standard output has seen enough."""
    # Python would complain once more when it closes standard output.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return PIPE_CLOSED


def paint(text: str, colour: str, stream: TextIO | None = None) -> str:
    """Return *text* in a colour when *stream* (standard output) is a terminal and NO_COLOR does not forbid it."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    if plain or not (stream or sys.stdout).isatty():
        return text
    return f"\033[{CODES[colour]}m{text}\033[0m"
