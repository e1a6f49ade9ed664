"""A benchmark that misses a budget fails and reports it."""

from __future__ import annotations

import pytest

from bench_table import Figure, table


@pytest.mark.parametrize(
    ("figure", "code", "shown"),
    [
        (Figure("decide", 80.0, "µs", at_most=120), 0, "decide        80.000 µs       ok (budget ≤ 120)"),
        (Figure("decide", 130.0, "µs", at_most=120), 1, "decide       130.000 µs       MISSED (budget ≤ 120)"),
        (Figure("rate", 0.5, "ratio", at_least=0.85), 1, "rate         0.500 ratio    MISSED (budget ≥ 0.85)"),
        (Figure("start", 231.4, "ms"), 0, "start       231.400 ms"),
    ],
    ids=["kept", "missed", "missed from below", "without a budget"],
)
def test_table(capsys: pytest.CaptureFixture[str], figure: Figure, code: int, shown: str) -> None:
    """The exit code is 1 if a budget is missed."""
    assert table("admission", [figure]) == code
    assert capsys.readouterr().out == f"\nadmission\n  {shown}\n"
