"""Patterns that are compiled when they are used."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from keeper_injector_common.patterns import pattern

METHODS = ("findall", "finditer", "fullmatch", "match", "search", "split")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("source", "text"), [("(a)|b", "ab"), (b"a.", b"xab"), ("", "x")])
def test_a_pattern_does_what_re_does(method: str, source: str | bytes, text: str | bytes) -> None:
    """At the first use and later ones."""
    found = pattern(source)
    wanted = re.compile(source)
    for _ in range(2):
        assert comparable(getattr(found, method)(text)) == comparable(getattr(wanted, method)(text))
    assert found.pattern == source


def comparable(result: object) -> object:
    """Return the spans of matches, and anything else as it is."""
    if isinstance(result, re.Match):
        return result.span()
    return result if isinstance(result, list) or result is None else [match.span() for match in result]  # type: ignore[attr-defined]


def test_flags_and_replacement() -> None:
    assert pattern("é|a", re.IGNORECASE).sub("-", "xAé") == "x--"


def test_an_invalid_pattern_is_an_error_at_its_first_use() -> None:
    broken = pattern("(")
    with pytest.raises(re.error):
        broken.match("x")


def test_importing_compiles_nothing() -> None:
    """What the agent imports for a refresh compiles none of the patterns in references, records and parsers."""
    code = """
import re, sys
seen = []
compile = re.compile
re.compile = lambda *args: seen.append(sys._getframe(1).f_globals["__name__"]) or compile(*args)
import keeper_injector_common.records.rendering, keeper_injector_common.parsers, keeper_injector_common.references
print([name for name in seen if name.startswith(("keeper_injector_common.re", "keeper_injector_common.parsers"))])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
