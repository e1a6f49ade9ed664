"""The demo's output: numbered steps with their durations, and colours on a terminal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

_COLOURS = {"green": "32", "red": "31", "yellow": "33", "dim": "2", "bold": "1"}


class StepFailedError(Exception):
    """A step failed."""


class Console:
    """Prints steps and counts them."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._number = 0
        self._coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def paint(self, text: str, colour: str) -> str:
        """Return *text* in a colour if colours are enabled."""
        return f"\033[{_COLOURS[colour]}m{text}\033[0m" if self._coloured else text

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Print a step, then its duration or its failure."""
        self._number += 1
        label = f"[{self._number}/{self._steps}] {title}"
        print(self.paint(label, "bold"), flush=True)
        started = time.monotonic()
        try:
            yield
        except StepFailedError as error:
            print(f"      {self.paint('failed', 'red')}: {error}", flush=True)
            raise
        print(f"      {self.paint('ok', 'green')} {time.monotonic() - started:.1f} s", flush=True)

    def say(self, text: str, colour: str = "") -> None:
        """Print lines that belong to the current step."""
        for line in text.splitlines():
            print("      " + (self.paint(line, colour) if colour else line), flush=True)


def check(condition: object, message: str) -> None:
    """Fail the step unless *condition* holds."""
    if not condition:
        raise StepFailedError(message)
