"""Prints what benchmarks measured, all in one shape: name, figure, unit, and the budget it is held to.

A benchmark is ``packages/*/bench/bench_*.py``, run by ``nox -s bench``. It measures, calls ``table`` once, and exits
with what that returns, so that a budget missed is a session failed.
"""

from collections.abc import Sequence
from typing import NamedTuple


class Figure(NamedTuple):
    """One row."""

    name: str
    value: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None

    def is_within_budget(self) -> bool:
        """Tell whether the budget, if there is one, is kept."""
        return (self.at_most is None or self.value <= self.at_most) and (
            self.at_least is None or self.value >= self.at_least
        )


def table(title: str, figures: Sequence[Figure]) -> int:
    """Print *figures* and return an exit code: 0 when every budget is kept."""
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
