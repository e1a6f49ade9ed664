"""YAML inside of templates, written as Go's libraries write it, read without anything that could grow."""

from __future__ import annotations

import re

import yaml

from keeper_injector_common.records.templates.go_values import FunctionError

_WIDE = 2**31
_STRING = "tag:yaml.org,2002:str"
_LETTERS = frozenset("yYnN")
"""Booleans to YAML 1.1 and so to Go, not to PyYAML."""
_BREAKS = re.compile("[\x85\u2028\u2029]")
"""Line breaks to YAML 1.1, which readers turn into others: only an escape in double quotes keeps them."""


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


class _Loader(yaml.SafeLoader):
    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise FunctionError(
                "it is given YAML with an alias, which can grow without bound; write it out", function="fromYaml"
            )
        return super().compose_node(parent, index)


def to_yaml(value: object) -> str:
    """Write *value* with sorted keys and no line break at the end, as Helm's ``toYaml``."""
    written: str = yaml.dump(value, Dumper=_Dumper, allow_unicode=True, default_flow_style=False, width=_WIDE)
    # A document that is one plain scalar ends in an explicit end mark.
    return written.removesuffix("...\n").removesuffix("\n")


def from_yaml(text: str) -> object:
    """Read one document; raises :class:`FunctionError` for what is no YAML, never with its text."""
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError):
        raise FunctionError("it is given something that is no YAML; check the value", function="fromYaml") from None


def _represent(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    tag: str = dumper.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    plain = tag == _STRING and text not in _LETTERS and not _BREAKS.search(text)
    return dumper.represent_scalar(_STRING, text, style=('"' if not plain else "|" if "\n" in text else None))


_Dumper.add_representer(str, _represent)
# Objects of a template are TemplateObject, a dict of our own.
_Dumper.add_multi_representer(dict, yaml.SafeDumper.represent_dict)
# Timestamps stay text, as for Go.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
