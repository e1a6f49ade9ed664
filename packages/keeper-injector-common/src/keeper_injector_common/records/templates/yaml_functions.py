"""``fromYaml`` of templates: reads YAML as Helm does, without aliases. ``toYaml`` is the writer of ``format: yaml``."""

from __future__ import annotations

import math
import re

import yaml

from keeper_injector_common.records.templates.go_values import FunctionError

_TAG = "tag:yaml.org,2002:"
_INTEGER = re.compile(
    r"[-+]?(?:0[xX][0-9a-fA-F][0-9a-fA-F_]*|0[bB][01][01_]*|0[oO]?[0-7][0-7_]*|0|[1-9][0-9_]*)\Z", re.ASCII
)
_NUMBER = re.compile(r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?\Z", re.ASCII)
"""The numbers of sigs.k8s.io/yaml, which Helm uses: those of YAML 1.1 without ``12:30:45`` (sexagesimal) and those of YAML 1.2."""


class _Loader(yaml.SafeLoader):
    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise FunctionError(
                "the YAML contains an alias, which can expand without bound", "write it out", function="fromYaml"
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[str, object]:  # type: ignore[override] # noqa: FBT002
        """Return the mapping with its keys as they are written: ``on: push`` has the key ``on`` and not ``true``."""
        names = [_name(key) for key, _ in node.value]
        if len(set(names)) < len(names):
            raise FunctionError("the YAML contains a key twice", "keep one", function="fromYaml")
        self.flatten_mapping(node)
        return {_name(key): self.construct_object(value, deep=True) for key, value in node.value}


def from_yaml(text: str) -> object:
    """Return the value of one YAML document. Raises :class:`FunctionError`, without the text, if it is not YAML."""
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError):
        raise FunctionError("the argument is not YAML", "check the value", function="fromYaml") from None


def _name(key: yaml.Node) -> str:
    if not isinstance(key, yaml.ScalarNode):
        raise FunctionError("the YAML contains a key that is not text", "write a name", function="fromYaml")
    return str(key.value)


def _integer(_: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    digits = re.sub(r"\A([-+]?)0(?=[0-7])", r"\g<1>0o", node.value.replace("_", ""))
    return int(digits, 0)


def _number(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> float | str:
    text = node.value.replace("_", "")
    if not _NUMBER.match(text):
        return loader.construct_yaml_float(node)
    number = float(text)
    return number if math.isfinite(number) else str(node.value)


# Numbers are read as Go does; timestamps, = and << outside of keys stay text.
_Loader.yaml_implicit_resolvers = {
    first: kept
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    if (kept := [(tag, pattern) for tag, pattern in resolvers if tag in {f"{_TAG}bool", f"{_TAG}null", f"{_TAG}merge"}])
}
_Loader.add_implicit_resolver(f"{_TAG}int", _INTEGER, list("-+0123456789"))
_Loader.add_implicit_resolver(f"{_TAG}float", _NUMBER, list("-+.0123456789"))
_Loader.add_implicit_resolver(f"{_TAG}float", re.compile(r"[-+]?\.(?:inf|Inf|INF)\Z|\.(?:nan|NaN|NAN)\Z"), list("-+."))
_Loader.add_constructor(f"{_TAG}int", _integer)
_Loader.add_constructor(f"{_TAG}float", _number)
_Loader.add_constructor(f"{_TAG}merge", lambda _, node: node.value)
