"""Defaults of annotations, as a chart's values and the webhook's settings hold them: for all pods, and by namespace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs

from keeper_injector_common import parsers
from keeper_injector_common.annotations.table import BY_NAME, INSTEAD
from keeper_injector_common.yaml_document import Section, load

if TYPE_CHECKING:
    from keeper_injector_common.errors import Problem

KEYS = ("defaults", "namespaceDefaults")


@attrs.frozen
class Defaults:
    """Texts by the names of annotations, without prefix."""

    everywhere: Mapping[str, str] = attrs.field(factory=dict)
    by_namespace: Mapping[str, Mapping[str, str]] = attrs.field(factory=dict)
    """They go before those for all."""

    def within(self, namespace: str) -> Mapping[str, str]:
        """Return the defaults that hold in *namespace*."""
        own = self.by_namespace.get(namespace, {})
        replaced = {INSTEAD[name] for name in own if name in INSTEAD}
        return {**{name: text for name, text in self.everywhere.items() if name not in replaced}, **own}


def read(top: Section) -> Defaults:
    """Read both mappings of *top*, which notes every problem; switches may be YAML booleans."""
    return Defaults(top.mapping(KEYS[0], _texts) or {}, top.mapping(KEYS[1], _namespaces) or {})


def parse(where: str, text: str, problems: list[Problem]) -> Defaults:
    """Read the defaults in a document that may hold more, such as a chart's values; adds what is wrong to *problems*.

    Raises :class:`~keeper_injector_common.parsers.InvalidValue` for text that is no YAML mapping.
    """
    content = load(text)
    if content is None:
        return Defaults()
    if not isinstance(content, dict):
        raise parsers.InvalidValue("no mapping", "write defaults: and below it names and values")
    ours = {key: content[key] for key in KEYS if key in content}
    return read(Section(ours, f"{where}: ", problems))


def _texts(entry: Section) -> dict[str, str]:
    found = {}
    for name in entry.unread():
        annotation = BY_NAME.get(name)
        if annotation is None or not annotation.default_allowed:
            entry.report(name, "no annotation that can have a default", "remove it")
        value = entry.scalar(name)
        if annotation is not None and value is not None:
            try:
                annotation.parse(value)
            except parsers.InvalidValue as error:
                entry.report(name, error.found, error.right)
            found[name] = value
    return found


def _namespaces(entry: Section) -> dict[str, dict[str, str]]:
    return {name: entry.mapping(name, _texts) or {} for name in entry.unread()}
