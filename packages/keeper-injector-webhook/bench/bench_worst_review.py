"""Measures the CPU time of the slowest reviews that a user of the cluster can cause, without HTTP and TLS."""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from slow_reviews import FAMILIES, LARGEST, Family

from bench_table import Figure, table
from keeper_injector_webhook.admission import AnswerCache, answer_review, encode_review
from keeper_injector_webhook.settings import Settings

MILLISECONDS = 1e3
BUDGET = 50
TRIES = 3
SHOWN = 12


def milliseconds(body: bytes) -> float:
    """Return the least CPU time of a few reviews, each with an empty cache."""
    times = []
    for _ in range(TRIES):
        settings, cache = Settings(), AnswerCache()
        started = time.process_time()
        encode_review(answer_review(body, settings, cache).review)
        times.append(time.process_time() - started)
    return min(times) * MILLISECONDS


def slowest(family: Family) -> tuple[float, int]:
    """Return the highest time of *family*, and the number at which it is reached. Sizes just within the limits are the slowest."""
    sizes = (16, 40, 64, 100, 200, 256, 400, 512, 600, 900, 1000, 1900, 2000, 3900, 4900, 8192, LARGEST)
    return max((milliseconds(family(size)), size) for size in sizes)


def main() -> int:
    """Measure, print the slowest and return the exit code."""
    found = sorted(((*slowest(family), name) for name, family in FAMILIES.items()), reverse=True)
    figures = [Figure(f"{name} ({size})", time, "ms", at_most=BUDGET) for time, size, name in found]
    return table(f"worst reviews, CPU time; the slowest {SHOWN} of {len(figures)} families", figures[:SHOWN])


if __name__ == "__main__":
    sys.exit(main())
