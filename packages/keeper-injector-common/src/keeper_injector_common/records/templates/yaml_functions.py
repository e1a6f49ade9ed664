"""``toYaml`` and ``fromYaml`` of templates: written as Go's YAML library does, parsed without aliases."""

from __future__ import annotations

import re

import yaml

from keeper_injector_common.records.templates.go_values import FunctionError

_WIDTH = 2**31
"""PyYAML folds lines that are longer."""
_STRING = "tag:yaml.org,2002:str"
_LETTERS = frozenset("yYnN")
"""Booleans in YAML 1.1 and therefore in Go, but not in PyYAML."""
_BREAKS = re.compile("[\x85\u2028\u2029]")
"""Line breaks in YAML 1.1, which parsers replace; only an escape in double quotes keeps them."""


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


class _Loader(yaml.SafeLoader):
    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise FunctionError(
                "the YAML contains an alias, which can expand without bound", "write it out", function="fromYaml"
            )
        return super().compose_node(parent, index)


def to_yaml(value: object) -> str:
    """Return *value* as YAML with sorted keys and no line break at the end, as Helm's ``toYaml`` does."""
    written: str = yaml.dump(value, Dumper=_Dumper, allow_unicode=True, default_flow_style=False, width=_WIDTH)
    # PyYAML ends a document that is one plain scalar with an explicit end mark.
    return written.removesuffix("...\n").removesuffix("\n")


def from_yaml(text: str) -> object:
    """Return the value of one YAML document. Raises :class:`FunctionError`, without the text, if it is not YAML."""
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError):
        raise FunctionError("the argument is not YAML", "check the value", function="fromYaml") from None


def _represent(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    tag: str = dumper.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    plain = tag == _STRING and text not in _LETTERS and not _BREAKS.search(text)
    return dumper.represent_scalar(_STRING, text, style=('"' if not plain else "|" if "\n" in text else None))


_Dumper.add_representer(str, _represent)
# Objects of a template are a subclass of dict.
_Dumper.add_multi_representer(dict, yaml.SafeDumper.represent_dict)
# Timestamps stay text, as in Go.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
