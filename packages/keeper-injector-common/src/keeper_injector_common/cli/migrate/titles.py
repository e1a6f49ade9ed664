"""The paths that another tool reads secrets from → titles of records in Keeper, a different one for each path."""

from __future__ import annotations

import re

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
        self._settled = {}
        for path in self._paths:
            length = 1
            while length < path.count("/") + 1 and any(
                other != path and _end(other, length) == _end(path, length) for other in self._paths
            ):
                length += 1
            self._settled[path] = _end(path, length)


def escaped(name: str) -> str:
    """Return *name* with an escape before each character that has a meaning in a reference; slashes divide folders."""
    return _SPECIAL.sub(r"\\\1", name)


def _end(path: str, length: int) -> str:
    """Return the last *length* parts of a path."""
    return "/".join(path.split("/")[-length:])
