"""The chart's values with their comments in values.yaml, and the JSON schema that follows from them."""

from __future__ import annotations

import re
from typing import Any

import attrs
import yaml

from keeper_injector_common.annotations import policy
from keeper_injector_common.annotations.table import ANNOTATIONS
from keeper_injector_common.limits import MOST_SECRETS

Json = dict[str, Any]

DOCUMENTED = re.compile(r"-- (?:\((?P<kind>[^)]+)\) )?(?P<help>.+)", re.DOTALL)
RANGE = re.compile(r"(\d+)\.\.(\d+)")


class UndocumentedError(ValueError):
    """A value in values.yaml has no comment, or its type is unknown."""


@attrs.frozen
class Value:
    """A value that users can set."""

    path: tuple[str, ...]
    kind: str
    """A key of :data:`KINDS`, a choice ``A | B``, a range ``1..30``, or the type of the default."""
    help: str
    default: Any
    group: str
    """The heading ``## …`` above it."""

    @property
    def name(self) -> str:
        """The name of the value as in ``--set``."""
        return ".".join(self.path)


def closed(**properties: Json) -> Json:
    """Return the schema of an object with these properties and no others."""
    return {"type": "object", "additionalProperties": False, "properties": properties}


def map_of(schema: Json) -> Json:
    """Return the schema of an object with arbitrary keys."""
    return {"type": "object", "additionalProperties": schema}


def list_of(schema: Json) -> Json:
    """Return the schema of a list."""
    return {"type": "array", "items": schema}


STRING: Json = {"type": "string"}
OBJECT: Json = {"type": "object"}
NAME: Json = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", "maxLength": 253}
QUANTITY: Json = {"type": ["string", "number"]}
STRINGS = map_of(STRING)
QUANTITIES = map_of(QUANTITY)
OPERATORS: Json = {"enum": ["In", "NotIn", "Exists", "DoesNotExist"]}
EXPRESSION = {**closed(key=STRING, operator=OPERATORS, values=list_of(STRING)), "required": ["key", "operator"]}
ISSUER = {**closed(name=NAME, kind=STRING, group=STRING), "anyOf": [{"maxProperties": 0}, {"required": ["name"]}]}
DEFAULTS = closed(
    **{
        item.name: {"type": ["string", "boolean", "number"], "description": item.help}
        for item in ANNOTATIONS
        if item.default_allowed
    }
)
LOCKED = {**list_of({"enum": list(policy.LOCKABLE)}), "uniqueItems": True}
DELIVERIES = {**list_of({"enum": list(policy.DELIVERIES)}), "uniqueItems": True}
DURATION: Json = {"type": "string", "pattern": "^([0-9]+h)?([0-9]+m)?([0-9]+s)?$"}
COUNT: Json = {"type": "integer", "minimum": 0, "maximum": MOST_SECRETS}
CONTACT: Json = {"type": "string", "maxLength": policy.LONGEST_CONTACT, "pattern": "^[^\\n]*$"}
RULES = closed(
    locked=LOCKED,
    forbidden=DELIVERIES,
    minRefreshInterval=DURATION,
    maxVolumeSize=STRING,
    maxSecrets=COUNT,
    contact=CONTACT,
)
KINDS: dict[str, Json] = {
    "affinity": closed(nodeAffinity=OBJECT, podAffinity=OBJECT, podAntiAffinity=OBJECT),
    "annotations": DEFAULTS,
    "annotations by namespace": map_of(DEFAULTS),
    "base64": {"type": "string", "pattern": "^[A-Za-z0-9+/]*={0,2}$"},
    "count of secrets": COUNT,
    "count or percentage": {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]+%$"}]},
    "cpu and memory": closed(cpu=QUANTITY, memory=QUANTITY),
    "digest": {"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"},
    "contact": CONTACT,
    "deliveries": DELIVERIES,
    "duration": DURATION,
    "issuer": ISSUER,
    "list of annotations": LOCKED,
    "list of names": {**list_of(NAME), "uniqueItems": True},
    "list of objects": list_of(OBJECT),
    "list of ports": {**list_of({"type": "integer", "minimum": 1, "maximum": 65535}), "minItems": 1},
    "list of references": list_of({**closed(name=NAME), "required": ["name"]}),
    "map of strings": STRINGS,
    "object": OBJECT,
    "policies by namespace": map_of(RULES),
    "proxy": {"type": "string", "pattern": "^(https?://[^@/\\s]+/?)?$"},
    "resources": closed(requests=QUANTITIES, limits=QUANTITIES, claims=list_of(OBJECT)),
    "selector": closed(matchLabels=STRINGS, matchExpressions=list_of(EXPRESSION)),
}
"""The schema of each type that is named in parentheses."""

OF_HELM: Json = {
    "global": {"type": "object", "description": "Values of all charts, if this one is a dependency of another."},
    "enabled": {
        "const": True,
        "description": "The condition of a chart that has this one as a dependency; no effect here.",
    },
}
"""Keys that Helm itself may add to a chart's values."""


def read_values(text: str) -> list[Value]:
    """Return the values of values.yaml in their order.

    Raises :class:`UndocumentedError` for a value without a comment ``# -- …``.
    """
    return list(_values(yaml.compose(text), text.splitlines(), ()))


def _values(node: yaml.Node | None, lines: list[str], path: tuple[str, ...]) -> Any:
    """Yield the values at *node* and below it."""
    assert isinstance(node, yaml.MappingNode)  # noqa: S101 - only sections are walked
    for key, content in node.value:
        here = (*path, key.value)
        found = DOCUMENTED.fullmatch(_comment(lines, key.start_mark.line))
        if found:
            default = yaml.safe_load(yaml.serialize(content))
            words = found["help"].replace("\n", " ")
            yield Value(here, _kind(found["kind"], default, here), words, default, _heading(lines, key.start_mark.line))
        elif isinstance(content, yaml.MappingNode) and content.value:
            yield from _values(content, lines, here)
        else:
            raise UndocumentedError(f"{'.'.join(here)}: no comment `# -- …` above it; describe the value there")


def _comment(lines: list[str], line: int) -> str:
    """Return the comment directly above *line*, from its ``--``; empty if it is missing."""
    found: list[str] = []
    while line and (text := lines[line - 1].strip()).startswith("# "):
        found.insert(0, text.removeprefix("# "))
        if found[0].startswith("-- "):
            return "\n".join(found)
        line -= 1
    return ""


def _heading(lines: list[str], line: int) -> str:
    return next((text[3:] for text in reversed(lines[:line]) if text.startswith("## ")), "")


def _kind(kind: str | None, default: Any, path: tuple[str, ...]) -> str:
    if kind and not (kind in KINDS or RANGE.fullmatch(kind) or " | " in kind):
        raise UndocumentedError(f"{'.'.join(path)}: ({kind}) is not a type; write one of {', '.join(KINDS)}")
    if not kind and not isinstance(default, str | bool):
        raise UndocumentedError(f"{'.'.join(path)}: its default does not show its type; write the type in parentheses")
    return kind or {str: "string", bool: "switch"}[type(default)]


def schema_of(values: list[Value]) -> Json:
    """Return the schema of *values*. It is closed, so that Helm rejects a misspelt value."""
    root: Json = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the chart keeper-injector",
        **closed(),
    }
    for value in values:
        section = root
        for name in value.path[:-1]:
            section = section["properties"].setdefault(name, closed())
        described = {"description": value.help, "default": value.default}
        section["properties"][value.path[-1]] = {**described, **schema_of_kind(value.kind)}
    root["properties"] |= OF_HELM
    return root


def schema_of_kind(kind: str) -> Json:
    """Return the schema of a value of *kind*."""
    if span := RANGE.fullmatch(kind):
        return {"type": "integer", "minimum": int(span[1]), "maximum": int(span[2])}
    if " | " in kind:
        return {"enum": kind.split(" | ")}
    return {"string": STRING, "switch": {"type": "boolean"}, **KINDS}[kind]
