"""The figures of the page about capacity."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generators import capacity
from keeper_injector_common import parsers

ONE = capacity.Figures(300, "10m", "32Mi", idle=8, peak=40, seconds=0.3, work=0.1)


@pytest.mark.parametrize(
    ("pods", "expected"),
    [
        (1_000, "| 1,000 | 31.2 GiB | 7.8 GiB | 40 MiB | 10 | 0.33 | 200 a minute |"),
        (100, "| 100 | 3.1 GiB | 800 MiB | 4 MiB | 1 | 0.033 | 20 a minute |"),
    ],
)
def test_a_row_is_the_product_of_one_pod(pods: int, expected: str) -> None:
    """For 1,000 pods and 300 seconds, one refresh of 0.3 seconds runs at any time."""
    assert capacity.row(pods, ONE) == expected


def test_the_limits_of_a_row() -> None:
    """2,000 pods send 400 requests a minute: 40 devices of 10, 2 of 300, or one with 200 minutes."""
    assert capacity.limit_row(2_000, 300) == "| 2,000 | 40 | 2 | 3h20m |"


@given(st.floats(min_value=0.1, max_value=10_000))
def test_an_interval_is_an_annotation_and_not_too_short(minutes: float) -> None:
    """The webhook accepts the interval, which is rounded up to minutes."""
    assert parsers.duration(capacity.duration(minutes)) == math.ceil(minutes) * 60


def test_the_figures_are_measured_ones() -> None:
    """Each figure is found in production.md or in the defaults."""
    assert all(capacity.measured())
