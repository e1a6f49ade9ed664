"""No review takes long: a search for slow inputs, measured in executed lines of Python and not in time."""

from __future__ import annotations

import itertools
import json
import sys
from types import FrameType
from typing import Any

import pytest
from admission_reviews import PREFIX, body, pod
from hypothesis import HealthCheck, Phase, given, settings, target
from hypothesis import strategies as st
from slow_reviews import FAMILIES, LARGEST, PRODUCTS

from keeper_injector_common.json_values import Json
from keeper_injector_webhook.admission import AnswerCache, answer_review, encode_review
from keeper_injector_webhook.settings import Settings

MOST_LINES = 600_000
"""Lines that any review may execute: about 40 ms, at 14,000 lines in a millisecond (``bench_worst_review.py`` measures the time)."""
LARGEST_ANSWER = 2 * 1024 * 1024
LONGEST_MESSAGE = 32 * 1024


def lines(content: bytes) -> tuple[int, Json]:
    """Return how many lines of Python a review executes, and its response."""
    count = 0

    def trace(_frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        answer = answer_review(content, Settings(), AnswerCache()).review
    finally:
        sys.settrace(before)
    assert len(encode_review(answer)) <= LARGEST_ANSWER
    response: Json = answer["response"]
    assert len(response.get("status", {}).get("message", "")) <= LONGEST_MESSAGE
    assert len(json.dumps(response.get("warnings", []))) <= LONGEST_MESSAGE
    return count, response


@pytest.fixture(scope="module", autouse=True)
def imported() -> None:
    """Import what only some reviews need, so that no test counts the lines of an import."""
    asked = {
        "secret-x": "t",
        "template-x": "{{ .a | quote }}",
        "config": "secrets: [{record: a, pth: b}]",
        "sekret": "x",
    }
    answer_review(body(pod(annotations={"inject": "true", **asked})), Settings())


@pytest.mark.parametrize("name", FAMILIES)
def test_lines_grow_with_the_size_and_not_with_its_square(name: str) -> None:
    """Twice the size takes at most about twice as many lines, and no size takes more than a review may take."""
    counts = [lines(FAMILIES[name](size))[0] for size in (25, 50, 100)]
    for less, more in itertools.pairwise(counts):
        assert name in PRODUCTS or more <= 2.6 * less + 3000
    assert max(*counts, *(lines(FAMILIES[name](size))[0] for size in (200, 1000, LARGEST))) <= MOST_LINES


def together(first: bytes, second: bytes) -> bytes:
    """Return a review of a pod that has the annotations, containers and volumes of both."""
    one, two = (json.loads(content)["request"]["object"] for content in (first, second))
    annotations = {**one["metadata"]["annotations"], **two["metadata"]["annotations"]}
    spec = {**one["spec"], **two["spec"]}
    for key in ("containers", "volumes"):
        spec[key] = [*one["spec"].get(key, []), *two["spec"].get(key, [])]
    names = {name.removeprefix(PREFIX): text for name, text in annotations.items()}
    return body(pod(annotations=names, **spec))


@settings(
    max_examples=60,
    deadline=None,
    phases=[Phase.explicit, Phase.generate, Phase.target],
    suppress_health_check=list(HealthCheck),
)
@given(st.sampled_from(sorted(FAMILIES)), st.integers(1, 300), st.sampled_from(sorted(FAMILIES)), st.integers(1, 300))
def test_no_two_families_together_take_long(first: str, size: int, second: str, other_size: int) -> None:
    """A search for the slowest pod among all pairs of families finds none that takes more lines than a review may take."""
    count, _ = lines(together(FAMILIES[first](size), FAMILIES[second](other_size)))
    target(float(count))
    assert count <= MOST_LINES


KNOWN: dict[str, tuple[str, int, bool, str]] = {
    "4,000 secrets": ("secrets in their own directories", 4000, False, "4000 secrets are asked for"),
    "16,000 secrets": ("secrets in their own directories", 16_000, False, "the pod's annotations have"),
    "a title of slashes": ("titles with slashes", 500_000, False, "the pod's annotations have"),
    "a long title of slashes": ("titles with slashes", 30_000, False, "the reference has 60001 characters"),
    "100 containers, 100 mounts, 500 directories": (
        "containers with mounts",
        10_000,
        False,
        "10000 entries of volumeMounts",
    ),
    "200 directories": ("secrets in their own directories", 200, True, ""),
    "2,000 mounts": ("directories for many containers", 40, True, ""),
}


@pytest.mark.parametrize("name", KNOWN)
def test_each_of_these_pods_is_answered_at_once(name: str) -> None:
    """A pod that exceeds a limit is denied with a sentence that names the limit; one at the limit is injected."""
    family, size, is_allowed, message = KNOWN[name]
    count, response = lines(FAMILIES[family](size))
    assert response["allowed"] is is_allowed
    assert message in response.get("status", {}).get("message", "")
    assert count <= MOST_LINES


def test_a_denial_counts_the_problems_that_it_does_not_show() -> None:
    """A denial shows twenty problems and says how many more there are, and so do warnings."""
    asked = {f"format-x{number}": "x" * 5000 for number in range(30)}
    unknown = {f"sekret{number}": "x" for number in range(25)}
    _, response = lines(body(pod(annotations={"inject": "true", **asked, **unknown})))
    message = response["status"]["message"]
    assert "(20) " in message
    assert "(21) " not in message
    assert message.endswith("; and 10 more")
    assert len(message) < 20 * 1300
    assert len(response["warnings"]) == 21
    assert response["warnings"][-1] == "and 5 more"
    assert max(map(len, response["warnings"])) <= 256
