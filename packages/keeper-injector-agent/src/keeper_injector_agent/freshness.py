"""How fresh the secrets are: for each target, when its items were last up to date, and when it last changed.

A *target* is a directory, the environment variables, or a Kubernetes Secret. Its *items* are files, a folder, or the target itself,
called as in messages. An item that cannot be brought up to date keeps its content and becomes *stale*: its record is gone, a field
is missing, or a download fails. As long as Keeper does not answer at all, nothing is compared, and all items age together.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class StaleItem(NamedTuple):
    """An item that could not be brought up to date."""

    since: float
    """When it last was up to date, in seconds since the epoch; 0 if never."""
    problem: str


class Target(NamedTuple):
    """What is known of a directory, the environment variables, or a Kubernetes Secret."""

    delivered: bool = False
    """Whether it has content."""
    changed: float = 0.0
    """When its content was last replaced by another, in seconds since the epoch; 0 if never. The first content is not a change."""
    stale: Mapping[str, StaleItem] = MappingProxyType({})


class TargetResult:
    """What a refresh has done to a target."""

    def __init__(self, problems: dict[str, str] | None = None, *, written: bool = False, present: bool = False) -> None:
        self.problems = problems or {}
        """By item."""
        self.written = written
        """Whether its content is new."""
        self.present = present
        """Whether it has content afterwards."""


class Freshness:
    """How fresh all targets of a pod are."""

    def __init__(self, fetched: float = 0.0, targets: dict[str, Target] | None = None) -> None:
        self.fetched = fetched
        """When they were last compared with records from Keeper, in seconds since the epoch; 0 if never."""
        self.targets = targets or {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Freshness) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment] # it changes

    def update(self, results: Mapping[str, TargetResult], now: float | None = None) -> list[str]:
        """Take over the *results* of a refresh, by target, and return the names of the targets that changed."""
        now = time.time() if now is None else now
        targets, changed = {}, []
        for name, result in results.items():
            known = self.targets.get(name, Target())
            stale = {
                item: StaleItem(known.stale[item].since if item in known.stale else self.fetched, problem)
                for item, problem in result.problems.items()
            }
            has_changed = result.written and known.delivered
            if has_changed:
                changed.append(name)
            delivered = result.present or known.delivered
            targets[name] = Target(delivered, now if has_changed else known.changed, stale)
        self.fetched, self.targets = now, targets
        return changed

    def up_to_date(self, target: str) -> float:
        """Return when all items of *target* were last up to date, in seconds since the epoch; 0 if never."""
        return min((item.since for item in self.targets[target].stale.values()), default=self.fetched)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values, for :func:`freshness_from_json`."""
        targets = {
            name: {**target._asdict(), "stale": {item: found._asdict() for item, found in target.stale.items()}}
            for name, target in self.targets.items()
        }
        return {"fetched": self.fetched, "targets": targets}


def freshness_from_json(content: Mapping[str, Any]) -> Freshness:
    """Return what :meth:`Freshness.as_json` returned; raises ValueError, TypeError, KeyError or AttributeError."""
    targets = {
        str(name): Target(
            delivered=bool(target["delivered"]),
            changed=float(target["changed"]),
            stale={
                str(item): StaleItem(float(found["since"]), str(found["problem"]))
                for item, found in target["stale"].items()
            },
        )
        for name, target in content["targets"].items()
    }
    return Freshness(float(content["fetched"]), targets)
