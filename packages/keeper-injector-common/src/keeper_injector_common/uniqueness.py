"""Dictionaries by name in which no entry silently replaces another one.

A plain dictionary keeps the last of several entries with one name, so that one secret would be delivered in place of another. Here
each entry has an *origin*, the words for where it comes from. Entries of one name and one origin are the same entry. Those of
different origins clash, and the clash names all of them::

    variable PASSWORD: field 'password' of record 'db' (u1) and field 'password' of record 'smtp' (u2)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

import attrs

T = TypeVar("T")
_MOST_ORIGINS = 3
"""Origins that a message names."""


@attrs.frozen
class Named(Generic[T]):
    """An entry of a dictionary, and where it comes from."""

    name: str
    value: T = attrs.field(repr=False)
    origin: str
    """Words for messages that identify the source, with the UID of a record: two records may have the same title."""


@attrs.frozen
class Clash:
    """A name that entries of different origins have."""

    name: str
    origins: tuple[str, ...]
    """At least two, in the order of the entries."""

    def __str__(self) -> str:
        """Return the origins as words, the first of them if there are many."""
        shown = self.origins[:_MOST_ORIGINS]
        more = len(self.origins) - len(shown)
        return f"{', '.join(shown)} and {more} more" if more else f"{', '.join(shown[:-1])} and {shown[-1]}"


def divide(entries: Iterable[Named[T]]) -> tuple[dict[str, Named[T]], tuple[Clash, ...]]:
    """Return the entries whose names no other origin has, by name, and the clashes; both in the order of *entries*."""
    first: dict[str, dict[str, Named[T]]] = {}
    for entry in entries:
        first.setdefault(entry.name, {}).setdefault(entry.origin, entry)
    free = {name: next(iter(origins.values())) for name, origins in first.items() if len(origins) == 1}
    return free, tuple(Clash(name, tuple(origins)) for name, origins in first.items() if len(origins) > 1)


def unique(entries: Iterable[Named[T]], error: Callable[[Clash], Exception]) -> dict[str, T]:
    """Return the values of *entries* by name; raise the *error* for the first clash, if there is one."""
    free, clashes = divide(entries)
    for clash in clashes:
        raise error(clash)
    return values_of(free)


def values_of(entries: Mapping[str, Named[T]]) -> dict[str, T]:
    """Return the values of *entries* by name."""
    return {name: entry.value for name, entry in entries.items()}
