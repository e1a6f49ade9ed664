"""The chart's values with their comments in values.yaml, and the JSON schema that follows from them."""

from __future__ import annotations

import re
from typing import Any

import attrs
import yaml

from chart_patterns import (
    CONTAINER_QUANTITY,
    DIGEST,
    DURATION,
    HOSTS,
    INTERVAL,
    NAMESPACE,
    OBJECT_NAME,
    PROXY,
    QUANTITY,
    REGISTRY,
    REPOSITORY,
    TAG,
    VOLUME_SIZE,
    Json,
    or_empty,
    schema_of_annotation,
)
from keeper_injector_common.annotations import policy
from keeper_injector_common.annotations.table import ANNOTATIONS
from keeper_injector_common.limits import MOST_SECRETS

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
STRINGS = map_of(STRING)
QUANTITIES = {
    **closed(**dict.fromkeys(("cpu", "memory", "ephemeral-storage"), CONTAINER_QUANTITY)),
    # Huge pages, and the resources of device plugins.
    "patternProperties": {"^hugepages-|/": CONTAINER_QUANTITY},
}
OPERATORS: Json = {"enum": ["In", "NotIn", "Exists", "DoesNotExist"]}
EXPRESSION = {**closed(key=STRING, operator=OPERATORS, values=list_of(STRING)), "required": ["key", "operator"]}
ISSUER = {
    **closed(name=OBJECT_NAME, kind=STRING, group=STRING),
    "anyOf": [{"maxProperties": 0}, {"required": ["name"]}],
}
DEFAULTS = closed(**{item.name: schema_of_annotation(item) for item in ANNOTATIONS if item.default_allowed})
LOCKED = {**list_of({"enum": list(policy.LOCKABLE)}), "uniqueItems": True}
DELIVERIES = {**list_of({"enum": list(policy.DELIVERIES)}), "uniqueItems": True}
COUNT: Json = {"type": "integer", "minimum": 0, "maximum": MOST_SECRETS}
CONTACT: Json = {"type": "string", "maxLength": policy.LONGEST_CONTACT, "pattern": r"^[^\x00-\x1f\x7f-\x9f]*$"}
SELECTOR = closed(matchLabels=STRINGS, matchExpressions=list_of(EXPRESSION))
POLICIES: Json = {"enum": ["Honor", "Ignore"]}
SPREAD = {
    **closed(
        maxSkew={"type": "integer", "minimum": 1},
        minDomains={"type": "integer", "minimum": 1},
        topologyKey=STRING,
        whenUnsatisfiable={"enum": ["DoNotSchedule", "ScheduleAnyway"]},
        labelSelector=SELECTOR,
        matchLabelKeys=list_of(STRING),
        nodeAffinityPolicy=POLICIES,
        nodeTaintsPolicy=POLICIES,
    ),
    "required": ["maxSkew", "topologyKey", "whenUnsatisfiable"],
}
TOLERATION = closed(
    key=STRING,
    operator={"enum": ["Exists", "Equal", "Lt", "Gt"]},
    value=STRING,
    effect={"enum": ["NoSchedule", "PreferNoSchedule", "NoExecute"]},
    tolerationSeconds={"type": "integer"},
)
PROBE = closed(
    initialDelaySeconds={"type": "integer", "minimum": 0},
    **{
        name: {"type": "integer", "minimum": 1}
        for name in ("periodSeconds", "timeoutSeconds", "failureThreshold", "successThreshold")
    },
)
RULES = closed(
    locked=LOCKED,
    forbidden=DELIVERIES,
    minRefreshInterval=or_empty(INTERVAL),
    maxVolumeSize=or_empty(VOLUME_SIZE),
    maxSecrets=COUNT,
    contact=CONTACT,
)
KINDS: dict[str, Json] = {
    "affinity": closed(nodeAffinity=OBJECT, podAffinity=OBJECT, podAntiAffinity=OBJECT),
    "annotations": DEFAULTS,
    "annotations by namespace": {**map_of(DEFAULTS), "propertyNames": NAMESPACE},
    "base64": {"type": "string", "pattern": "^[A-Za-z0-9+/]*={0,2}$"},
    "count of secrets": COUNT,
    "count or percentage": {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]+%$"}]},
    "cpu and memory": closed(cpu=QUANTITY, memory=QUANTITY),
    "digest": DIGEST,
    "contact": CONTACT,
    "deliveries": DELIVERIES,
    "duration": DURATION,
    "family policy": {"enum": ["", "SingleStack", "PreferDualStack", "RequireDualStack"]},
    "hosts": HOSTS,
    "issuer": ISSUER,
    "list of annotations": LOCKED,
    "list of names": {**list_of(OBJECT_NAME), "uniqueItems": True},
    "list of families": {**list_of({"enum": ["IPv4", "IPv6"]}), "uniqueItems": True},
    "list of manifests": list_of({"type": ["object", "string"]}),
    "list of objects": list_of(OBJECT),
    "list of ports": {**list_of({"type": "integer", "minimum": 1, "maximum": 65535}), "minItems": 1},
    "list of references": list_of({**closed(name=OBJECT_NAME), "required": ["name"]}),
    "list of texts": list_of(STRING),
    "map of strings": STRINGS,
    "namespace": or_empty(NAMESPACE),
    "object": OBJECT,
    "peers": list_of(closed(ipBlock=OBJECT, namespaceSelector=SELECTOR, podSelector=SELECTOR)),
    "policies by namespace": {**map_of(RULES), "propertyNames": NAMESPACE},
    "probe": PROBE,
    "proxy": PROXY,
    "registry": REGISTRY,
    "repository": REPOSITORY,
    "resources": closed(requests=QUANTITIES, limits=QUANTITIES, claims=list_of(OBJECT)),
    "scrape interval": or_empty(DURATION),
    "selector": SELECTOR,
    "size": or_empty(VOLUME_SIZE),
    "spread constraints": list_of(SPREAD),
    "tag": TAG,
    "time": or_empty(INTERVAL),
    "tolerations": list_of(TOLERATION),
    "volume size": VOLUME_SIZE,
}
"""The schema of each type that is named in parentheses."""

OF_HELM: Json = {
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
    _require(root)
    # Other charts have values of their own here, and a parent chart may set none.
    root["properties"].get("global", {}).pop("additionalProperties", None)
    root["properties"].get("global", {}).pop("required", None)
    root["properties"] |= OF_HELM
    return root


def _require(section: Json) -> None:
    """Require the sections of *section*, and the values without which the templates could not be rendered.

    values.yaml has them all, so only a null can take one away. Where the webhook or Kubernetes has a default, null asks for it.
    """
    required = []
    for name, schema in section["properties"].items():
        if "default" not in schema:
            _require(schema)
        elif (isinstance(schema["default"], dict | list) and not schema.get("minItems")) or schema["default"] == "":
            continue
        required.append(name)
    section["required"] = required


def schema_of_kind(kind: str) -> Json:
    """Return the schema of a value of *kind*."""
    if span := RANGE.fullmatch(kind):
        return {"type": "integer", "minimum": int(span[1]), "maximum": int(span[2])}
    if " | " in kind:
        return {"enum": kind.split(" | ")}
    return {"string": STRING, "switch": {"type": "boolean"}, **KINDS}[kind]
