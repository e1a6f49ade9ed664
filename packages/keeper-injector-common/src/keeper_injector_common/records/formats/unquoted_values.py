"""Reject values that different readers of the same unquoted ``name=value`` line would understand differently."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keeper_injector_common.parsers import InvalidValue
from keeper_injector_common.patterns import pattern

if TYPE_CHECKING:
    import re
    from collections.abc import Mapping

AMBIGUOUS: dict[str, re.Pattern[str]] = {
    "a line break or control character": pattern(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]"),
    # JavaScript's trim() removes a byte order mark, Python's strip() does not.
    "leading or trailing white space": pattern(r"\A[\s\ufeff]|[\s\ufeff]\Z"),
    "a leading quote": pattern(r"\A[\"'`]"),
}
"""What no two readers agree on in any format: a description, and the pattern that finds it."""


def check_unquoted(value: str, patterns: Mapping[str, re.Pattern[str]], *, readers: str, alternatives: str) -> None:
    """Raise InvalidValue if *value* matches one of *patterns*; the message recommends the formats in *alternatives*."""
    for description, found in patterns.items():
        if found.search(value):
            raise InvalidValue(f"the value has {description}, which {readers} read differently", f"use {alternatives}")
