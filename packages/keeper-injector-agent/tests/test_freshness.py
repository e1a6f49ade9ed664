"""Freshness: what ages, and what counts as a change."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from keeper_injector_agent.freshness import Freshness, TargetResult, freshness_from_json

ITEMS = st.dictionaries(st.sampled_from(["/app/a", "/app/b", "/app/c"]), st.just("gone"))
RESULTS = st.lists(st.builds(TargetResult, ITEMS, written=st.booleans(), present=st.booleans()), min_size=1, max_size=8)


@given(RESULTS)
def test_each_item_has_the_age_of_its_last_good_refresh(results: list[TargetResult]) -> None:
    """After any sequence of refreshes, an item is as fresh as the last one in which it had no problem."""
    freshness = Freshness()
    last_good = dict.fromkeys(("/app/a", "/app/b", "/app/c"), 0.0)
    for number, result in enumerate(results, 1):
        freshness.update({"/app": result}, float(number))
        last_good |= {item: float(number) for item in last_good if item not in result.problems}
        stale = freshness.targets["/app"].stale
        assert {item: found.since for item, found in stale.items()} == {
            item: last_good[item] for item in result.problems
        }
        assert freshness.up_to_date("/app") == min(last_good.values())


@given(RESULTS)
def test_the_first_content_is_not_a_change(results: list[TargetResult]) -> None:
    """A change replaces content; each is counted once, and the last one is remembered."""
    freshness, had_content, last = Freshness(), False, 0.0
    for number, result in enumerate(results, 1):
        changed = freshness.update({"/app": result}, float(number))
        assert changed == (["/app"] if result.written and had_content else [])
        last = float(number) if changed else last
        assert freshness.targets["/app"].changed == last
        had_content |= result.present


@given(RESULTS)
def test_freshness_survives_json(results: list[TargetResult]) -> None:
    """The state file contains all of it."""
    freshness = Freshness()
    for number, result in enumerate(results, 1):
        freshness.update({"/app": result, "Secret x": result}, float(number))
    assert freshness_from_json(json.loads(json.dumps(freshness.as_json()))) == freshness
