"""Values that readers of unquoted lines understand differently are rejected."""

from __future__ import annotations

import re

import pytest

from keeper_injector_common.parsers import InvalidValue
from keeper_injector_common.records.formats.unquoted_values import AMBIGUOUS, check_unquoted

AMBIGUOUS_VALUES = {
    "line break": ("a\nb", "a line break or control character"),
    "line separator": ("a\u2028b", "a line break or control character"),
    "escape": ("a\x1b[0m", "a line break or control character"),
    "space": (" a", "leading or trailing white space"),
    "byte order mark": ("a\ufeff", "leading or trailing white space"),
    "quote": ('"a"', "a leading quote"),
    "back quote": ("`a`", "a leading quote"),
}


@pytest.mark.parametrize(("value", "fault"), AMBIGUOUS_VALUES.values(), ids=AMBIGUOUS_VALUES.keys())
def test_ambiguous_value_is_rejected(value: str, fault: str) -> None:
    """The error names the fault and the formats to use instead."""
    with pytest.raises(InvalidValue) as caught:
        check_unquoted(value, AMBIGUOUS, readers="INI parsers", alternatives="json")
    assert str(caught.value) == f"the value has {fault}, which INI parsers read differently; use json"


@pytest.mark.parametrize("value", ["", "a b", "it's", "a\tb", "é😀", 'say "hi"'])
def test_plain_value_is_accepted(value: str) -> None:
    """A value that all readers understand alike passes."""
    check_unquoted(value, AMBIGUOUS, readers="INI parsers", alternatives="json")


def test_format_can_add_patterns() -> None:
    """A format can reject more than the common patterns."""
    with pytest.raises(InvalidValue, match="the value has a '#'"):
        check_unquoted("a#b", AMBIGUOUS | {"a '#'": re.compile("#")}, readers="r", alternatives="json")
