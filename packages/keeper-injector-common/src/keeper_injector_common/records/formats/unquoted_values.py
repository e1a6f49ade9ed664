"""Reject values that different readers of the same unquoted ``name=value`` line would understand differently."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from keeper_injector_common.parsers import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Mapping

AMBIGUOUS: dict[str, re.Pattern[str]] = {
    "a line break or control character": re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]"),
    # JavaScript's trim() removes a byte order mark, Python's strip() does not.
    "leading or trailing white space": re.compile(r"\A[\s\ufeff]|[\s\ufeff]\Z"),
    "a leading quote": re.compile(r"\A[\"'`]"),
}
"""What no two readers agree on in any format: a description, and the pattern that finds it."""


def check_unquoted(value: str, patterns: Mapping[str, re.Pattern[str]], *, readers: str, alternatives: str) -> None:
    """Raise InvalidValue if *value* matches one of *patterns*; the message recommends the formats in *alternatives*."""
    for description, pattern in patterns.items():
        if pattern.search(value):
            raise InvalidValue(f"the value has {description}, which {readers} read differently", f"use {alternatives}")
