"""Translates docstrings to Markdown (an extension of griffe): roles, literal blocks and doctests."""

from __future__ import annotations

import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:py:)?(?:mod|class|func|data|attr|meth|exc):`~?([^`]+)`")
DOCTEST = re.compile(r"(?:^>>> .*\n?)(?:^.*\S.*\n?)*", re.MULTILINE)
LITERAL = re.compile(r"::$", re.MULTILINE)


class Docstrings(griffe.Extension):
    """Changes the docstrings of everything that the site shows."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Change the docstring of a module, class, function or value."""
        if obj.docstring:
            obj.docstring.value = to_markdown(obj.docstring.value)


def to_markdown(text: str) -> str:
    r"""Return *text* with code for reStructuredText's roles, a fence around doctests, and one colon before code.

    >>> to_markdown("See :func:`~a.b`:\n\n>>> b()\n1")
    'See `a.b`:\n\n```pycon\n>>> b()\n1\n```\n'
    """
    text = LITERAL.sub(":", ROLE.sub(r"`\1`", text))
    return DOCTEST.sub(lambda match: f"```pycon\n{match.group().rstrip()}\n```\n", text)
