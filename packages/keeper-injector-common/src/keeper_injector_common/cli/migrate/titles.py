"""The paths that another tool reads secrets from → titles of records in Keeper, a different one for each path."""

from __future__ import annotations

import re
from collections import Counter

import attrs

_SPECIAL = re.compile(r"([\[\]:,\\])")
"""Characters with a meaning in a reference."""


@attrs.define
class Titles:
    """Chooses the shortest end of a path that no other path of the run has: ``config``, or ``shop/config``.

    Which paths there are is known after all files are read. So files are migrated twice: the first round collects the paths.
    A title with a slash is a record in a folder.
    """

    _paths: set[str] = attrs.field(factory=set)
    _settled: dict[str, str] = attrs.field(factory=dict)

    def of(self, path: str) -> str:
        """Return the reference to the record that takes the place of *path*, with special characters escaped."""
        path = path.strip().strip("/")
        self._paths.add(path)
        return escaped(self._settled.get(path) or _end(path, 1))

    def settle(self) -> None:
        """Choose the titles of all paths that :meth:`of` was called with."""
        longest = max((path.count("/") + 1 for path in self._paths), default=0)
        counts = [Counter(_end(path, length) for path in self._paths) for length in range(1, longest + 1)]
        self._settled = {}
        for path in self._paths:
            ends = (_end(path, length + 1) for length, count in enumerate(counts) if count[_end(path, length + 1)] == 1)
            self._settled[path] = next(ends, path)


def escaped(name: str) -> str:
    """Return *name* with an escape before each character that has a meaning in a reference; slashes divide folders."""
    return _SPECIAL.sub(r"\\\1", name)


def _end(path: str, length: int) -> str:
    """Return the last *length* parts of a path."""
    return "/".join(path.split("/")[-length:])
