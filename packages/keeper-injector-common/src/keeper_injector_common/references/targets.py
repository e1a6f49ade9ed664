"""Divides ``reference:/path``, as annotations have it, into the reference and the path of the file."""

from __future__ import annotations

import re
from functools import lru_cache

from keeper_injector_common.limits import LONGEST_REFERENCE, MOST_PARTS
from keeper_injector_common.parsers import stripped
from keeper_injector_common.patterns import pattern
from keeper_injector_common.references.grammar import LONGEST_CACHED, count_separators
from keeper_injector_common.references.values import PREFIX

_DIVIDING = pattern(r"\\.?|[\[\]]|:(?=/)", re.DOTALL)


def split_target(value: str) -> tuple[str, str | None]:
    """Divide ``reference:/path`` at the last ``:/`` outside brackets. The path is None if there is no ``:/``."""
    return _cached_target(value) if len(value) <= LONGEST_CACHED else _split_target(value)


def _split_target(value: str) -> tuple[str, str | None]:
    if count_separators(value) > 4 * MOST_PARTS:
        return stripped(value), None  # parse_reference rejects it
    depth, divider = 0, None
    start = len(PREFIX) if value[: len(PREFIX)].lower() == PREFIX else 0
    for match in _DIVIDING.finditer(value, start):
        depth += {"[": 1, "]": -1}.get(match[0], 0)
        if match[0] == ":" and depth <= 0:
            divider = match.start()
    if divider is None:
        return stripped(value), None
    return stripped(value[:divider]), value[divider + 1 :].strip()


_cached_target = lru_cache(maxsize=1024)(_split_target)
_RELATIVE = pattern(r"(?<!\\):\s*(\.{1,2}/\S+|[\w.-]+(?:/[\w.-]+)*/[\w-]+\.\w+)", re.ASCII)


def relative_path(target: str) -> str | None:
    """Return the text after the last colon if it looks like a relative path, otherwise None: titles may contain colons."""
    match = _RELATIVE.search(target) if ":" in target and len(target) <= LONGEST_REFERENCE else None
    return match[1] if match and match.end() == len(target) else None
