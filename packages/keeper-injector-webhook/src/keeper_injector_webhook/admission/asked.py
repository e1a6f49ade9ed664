"""Reads what a pod's annotations ask for, and keeps it, because the pods of one workload have the same annotations.

The pods of a workload differ where :mod:`.cache` sees it, for example in a host name, and still have the same annotations and the same
plan. Nothing expires: the same annotations, settings and namespace always ask for the same.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable, Mapping
from hashlib import sha256

import attrs
import orjson

from keeper_injector_common.annotations.parser import read_request
from keeper_injector_common.annotations.request import InjectionRequest
from keeper_injector_common.errors import Problem
from keeper_injector_common.json_values import Json
from keeper_injector_common.plan.model import Plan
from keeper_injector_common.plan.wire import dumps
from keeper_injector_webhook.admission.cache import ENTRY, BoundedCache
from keeper_injector_webhook.settings import Settings

_LONGEST_KEPT = 8 * 1024
"""Characters of the annotations of one pod that are kept."""
_LARGEST_PLAN = 8 * 1024
"""Bytes of the text of a plan that is kept."""
_LARGEST_CACHE = 4 * 1024 * 1024


@attrs.frozen(eq=False)
class WrittenPlan:
    """A plan, its text in the annotation, and what was last made from it."""

    plan: Plan
    text: str
    _last_parts: dict[str, tuple[Hashable, list[Json]]] = attrs.field(factory=dict, repr=False)

    def part(self, name: str, key: Hashable, build: Callable[[], list[Json]]) -> list[Json]:
        """Return the part called *name* of a patch, for pods with *key*, which has everything besides the plan that it depends on.

        Pods share it, so nobody may change it.
        """
        last, found = self._last_parts.get(name, (None, []))
        if last != (key,):
            found = build()
            self._last_parts[name] = (key,), found
        return found


@attrs.frozen(eq=False)
class Asked:
    """What annotations ask for, the problems in them, and the last plan that was made from them."""

    request: InjectionRequest
    problems: tuple[Problem, ...]
    _last_plan: dict[Hashable, WrittenPlan] = attrs.field(factory=dict, repr=False)

    def plan(self, key: Hashable, build: Callable[[], Plan]) -> WrittenPlan:
        """Return the plan for pods with *key*, which has everything besides the request that the plan depends on."""
        found = self._last_plan.get(key)
        if found is None:
            plan = build()
            found = WrittenPlan(plan, dumps(plan))
            if sys.getsizeof(found.text) <= _LARGEST_PLAN:
                self._last_plan.clear()
                self._last_plan[key] = found
        return found


_kept: BoundedCache[tuple[Settings, bytes], Asked] = BoundedCache(_LARGEST_CACHE)


def read_asked(annotations: Mapping[str, str], settings: Settings, namespace: str) -> Asked:
    """Read *annotations*; raises :class:`~keeper_injector_common.errors.AnnotationsError` if nothing of them can be read."""
    characters = sum(map(len, annotations)) + sum(map(len, annotations.values()))
    if characters > _LONGEST_KEPT:
        return _read(annotations, settings, namespace)
    content = orjson.dumps((namespace, annotations), option=orjson.OPT_SORT_KEYS)
    key = settings, sha256(content).digest()
    found = _kept.find(key)
    if found is None:
        found = _read(annotations, settings, namespace)
        if not found.problems:
            items = len(found.request.files) + len(found.request.folders) + len(found.request.variables)
            _kept.keep(key, found, ENTRY * (12 + 2 * items) + 4 * characters + _LARGEST_PLAN)
    return found


def _read(annotations: Mapping[str, str], settings: Settings, namespace: str) -> Asked:
    defaults, policy = settings.defaults.within(namespace), settings.policies.within(namespace)
    return Asked(*read_request(annotations, defaults, policy))
