"""Shows ``:func:`name``` in docstrings as code (an extension of griffe)."""

from __future__ import annotations

import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:py:)?(?:mod|class|func|data|attr|meth|exc):`~?([^`]+)`")


class Roles(griffe.Extension):
    """Replaces reStructuredText's roles by Markdown's code."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Change the docstring of a module, class, function or value."""
        if obj.docstring:
            obj.docstring.value = ROLE.sub(r"`\1`", obj.docstring.value)
