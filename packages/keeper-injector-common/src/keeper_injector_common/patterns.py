"""Regular expressions that are compiled when they are used for the first time.

The agent's processes live for a tenth of a second and use few of the patterns in the modules that they import. Compiling all of
them took 3 of 114 ms.
"""

from __future__ import annotations

import re
from typing import Any, AnyStr, cast

_METHODS = ("findall", "finditer", "fullmatch", "match", "search", "split", "sub")


def pattern(source: AnyStr, flags: re.RegexFlag = re.NOFLAG) -> re.Pattern[AnyStr]:
    """Return an object with the methods and the source of the compiled pattern; an error in it is raised at the first use."""
    return cast("re.Pattern[AnyStr]", _Uncompiled(source, flags))


class _Uncompiled:
    """Stands in for a pattern. The first use of a method replaces all of them by those of the compiled pattern."""

    def __init__(self, source: str | bytes, flags: re.RegexFlag) -> None:
        self.pattern = source
        self._flags = flags

    def __getattr__(self, name: str) -> Any:
        if name not in _METHODS:
            raise AttributeError(name)
        compiled = re.compile(self.pattern, self._flags)
        for method in _METHODS:
            setattr(self, method, getattr(compiled, method))
        return getattr(self, name)
