"""Prints the results of benchmarks as a table: name, figure, unit and budget.

A benchmark is a script ``packages/*/bench/bench_*.py``; ``./tools/run bench`` runs it. It measures, calls ``table`` once and exits with
the return value, so that the session fails if a budget is missed.
"""

from collections.abc import Sequence
from typing import NamedTuple


class Figure(NamedTuple):
    """One row of the table."""

    name: str
    value: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None

    def is_within_budget(self) -> bool:
        """Return whether the figure keeps its budget; without a budget, it does."""
        return (self.at_most is None or self.value <= self.at_most) and (
            self.at_least is None or self.value >= self.at_least
        )


def table(title: str, figures: Sequence[Figure]) -> int:
    """Print *figures* and return the exit code: 0 if all budgets are kept, otherwise 1."""
    width = max(len(figure.name) for figure in figures)
    print(f"\n{title}")
    for figure in figures:
        print(f"  {figure.name:{width}}  {figure.value:12,.3f} {figure.unit:8} {_budget(figure)}".rstrip())
    return int(not all(figure.is_within_budget() for figure in figures))


def _budget(figure: Figure) -> str:
    if figure.at_most is None and figure.at_least is None:
        return ""
    sign, limit = ("≤", figure.at_most) if figure.at_most is not None else ("≥", figure.at_least)
    return f"{'ok ' if figure.is_within_budget() else 'MISSED '}(budget {sign} {limit:,g})"
