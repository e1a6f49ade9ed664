"""Reads the defaults of annotations that a chart or the webhook's settings contain: for all pods, and by namespace.

The two mappings look the same in a chart's values and in the settings file::

    defaults:
      refresh-interval: 15m
    namespaceDefaults:
      shop:
        ksm-config: shop-credentials
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from keeper_injector_common.annotations.table import BY_NAME
from keeper_injector_common.parsers import InvalidValue
from keeper_injector_common.yaml_document import Section

KEYS = ("defaults", "namespaceDefaults")


@attrs.frozen
class Defaults:
    """Texts of annotations by their names without prefix."""

    everywhere: Mapping[str, str] = attrs.field(factory=dict)
    """Defaults in all namespaces."""
    by_namespace: Mapping[str, Mapping[str, str]] = attrs.field(factory=dict)
    """Defaults of single namespaces. They override those for all."""

    def within(self, namespace: str) -> Mapping[str, str]:
        """Return the defaults of the pods in *namespace*."""
        own = self.by_namespace.get(namespace, {})
        replaced = {BY_NAME[name].alternative for name in own if name in BY_NAME}
        return {**{name: text for name, text in self.everywhere.items() if name not in replaced}, **own}


def read(section: Section) -> Defaults:
    """Read both mappings in *section*, which collects the problems. A switch may be a YAML boolean."""
    return Defaults(section.mapping(KEYS[0], _texts) or {}, section.mapping(KEYS[1], _namespaces) or {})


def _texts(section: Section) -> dict[str, str]:
    found = {}
    for name in section.unread():
        annotation = BY_NAME.get(name)
        if annotation is None or not annotation.default_allowed:
            section.report(name, "this annotation cannot have a default", "remove it")
        value = section.scalar(name)
        if annotation is not None and value is not None:
            try:
                annotation.parse(value)
            except InvalidValue as error:
                section.report(name, error.found, error.right)
            found[name] = value
    return found


def _namespaces(section: Section) -> dict[str, dict[str, str]]:
    return {name: section.mapping(name, _texts) or {} for name in section.unread()}
