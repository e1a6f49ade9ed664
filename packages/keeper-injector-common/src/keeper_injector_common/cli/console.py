"""What commands print besides their result, in which colours, and their exit codes."""

from __future__ import annotations

import json
import os
import sys
from typing import ClassVar, TextIO

EXIT_OK, EXIT_PROBLEMS, EXIT_ERROR = 0, 1, 2
"""Exit codes: success; the command found problems; the command could not do its work."""
EXIT_INTERRUPTED, EXIT_BROKEN_PIPE = 130, 141
"""Exit codes that a shell reports for the signals SIGINT and SIGPIPE (128 + number)."""
LINE_BREAK = "\n"
"""A character to keep in a text of several lines; see :func:`visible`."""
_COLORS = {"red": "31", "yellow": "33", "green": "32", "bold": "1", "dim": "2"}


class CommandError(Exception):
    """The command cannot do its work; the message is printed to standard error."""

    exit_code: ClassVar[int] = EXIT_ERROR


def print_error(text: str) -> None:
    """Print a diagnostic to standard error, so that standard output holds nothing but the result."""
    print(f"keeper-injector: {visible(text, keep=LINE_BREAK)}", file=sys.stderr)


def visible(text: str, keep: str = "") -> str:
    r"""Return *text* with each character that is not printable as its Python escape, such as ``\x1b``.

    Names, values and paths come from others. Written as they are, they could move the cursor, hide or recolour a line, or
    reverse its direction. The characters in *keep* stay.
    """
    if text.isprintable():
        return text
    return "".join(item if item.isprintable() or item in keep else ascii(item)[1:-1] for item in text)


def json_text(content: object) -> str:
    """Return *content* as a JSON document for standard output, with characters that are not printable as JSON escapes."""
    text = json.dumps(content, ensure_ascii=False, indent=2)
    # Outside strings, JSON has no such character but the line break.
    return "".join(item if item.isprintable() or item == "\n" else json.dumps(item)[1:-1] for item in text) + "\n"


def report_no_workloads() -> None:
    """Tell the user that the files hold no workloads; without a message, that would look like success."""
    print_error("no workloads found")


def discard_output() -> int:
    """Return the exit code for a closed standard output, as in ``keeper-injector lint … | head``."""
    # Otherwise Python would report the closed pipe a second time while it exits.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_BROKEN_PIPE


def colored(text: str, color: str, stream: TextIO | None = None) -> str:
    """Return *text* in a colour if *stream* (standard output by default) is a terminal and ``NO_COLOR`` is not set.

    *color* is ``red``, ``yellow``, ``green``, ``bold`` or ``dim``. See https://no-color.org.
    """
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    if plain or not (stream or sys.stdout).isatty():
        return text
    return f"\033[{_COLORS[color]}m{text}\033[0m"
