"""Values that stand bare in a line: what they must not have, so that every reader takes them for the same."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from keeper_injector_common.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Mapping

Faults = dict[str, re.Pattern[str]]
"""What a value has, in words → how to see it."""
AMBIGUOUS: Faults = {
    "a line break or control character": re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]"),
    # JavaScript's trim() takes a byte order mark for white space, Python's strip() does not.
    "white space at an end": re.compile(r"\A[\s\ufeff]|[\s\ufeff]\Z"),
    "a quote at its beginning": re.compile(r"\A[\"'`]"),
}
"""What is read differently everywhere."""


def check_unquoted(
    where: str, value: str, faults: Mapping[str, re.Pattern[str]], *, readers: str, instead: str
) -> None:
    """Raise FormatError when *value* has one of *faults*, with the formats to use *instead*."""
    for what, pattern in faults.items():
        if pattern.search(value):
            raise FormatError(f"{where}: the value has {what}, which {readers} read differently; use {instead}")
