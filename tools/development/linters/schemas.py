"""JSON schemas for kubeconform, made from the API's own OpenAPI document and from CustomResourceDefinitions.

kubeconform would download schemas from a website. These are those of the version that the node of the integration tests runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from cluster import versions
from cluster.programs import Say, complete_or_not_at_all, digest
from linters import programs

Json = dict[str, Any]
KUBERNETES = "k8s.io/kubernetes"
CRDS = Path(__file__).parent / "crds.txt"
LOCATION = "{{.Group}}/{{.ResourceKind}}_{{.ResourceAPIVersion}}.json"
"""kubeconform's template for the name of a schema in a folder."""

DROPPED = frozenset({"description", "default", "format", "properties"})
"""Words that are not checked, and the one that has no schema as its value but schemas by name."""


class _Loader(yaml.CSafeLoader):
    """Reads `=`, an operator of Alertmanager, as a string. In YAML 1.1 it has a special type."""


def _text(_: yaml.CSafeLoader, node: yaml.Node) -> str:
    return str(node.value)


_Loader.add_constructor("tag:yaml.org,2002:value", _text)


def folder(say: Say) -> Path:
    """Return the folder with a schema for each kind; make it if this has not been done yet."""
    kept = kept_folder()
    if not kept.exists():
        say(f"making schemas of Kubernetes {versions.newest().name} (once)")
        with complete_or_not_at_all(kept) as made:
            for name, schema in _all():
                path = made / name
                path.parent.mkdir(exist_ok=True)
                path.write_text(json.dumps(schema), encoding="utf-8")
    return kept


def kept_folder() -> Path:
    """Return the folder of the schemas, whether or not they have been made."""
    return programs.kept() / digest(versions.newest().modules, CRDS, Path(__file__))


def _all() -> Iterator[tuple[str, Json]]:
    source = programs.module(KUBERNETES, versions.newest().name, _sum_of_kubernetes())
    yield from of_openapi(json.loads((source / "api/openapi-spec/swagger.json").read_text(encoding="utf-8")))
    for line in CRDS.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            path, tag, expected, crds = line.split()
            for file in sorted((programs.module(path, tag, expected) / crds).glob("*.yaml")):
                for item in yaml.load_all(file.read_text(encoding="utf-8"), _Loader):
                    yield from of_crd(item)


def _sum_of_kubernetes() -> str:
    version = versions.newest()
    sums = version.modules.with_suffix(".sum").read_text(encoding="utf-8")
    return next(words[2] for words in map(str.split, sums.splitlines()) if words[:2] == [KUBERNETES, version.name])


def of_openapi(document: Json) -> Iterator[tuple[str, Json]]:
    """Return a file name and a schema for each kind of an OpenAPI 2 document of Kubernetes."""
    definitions: Json = document["definitions"]
    strict_ones = {name: strict(value) for name, value in definitions.items()}
    for name, definition in definitions.items():
        for kind in definition.get("x-kubernetes-group-version-kind", []):
            group = kind["group"]
            schema = strict_ones[name]
            api_version = f"{group}/{kind['version']}" if group else kind["version"]
            named = {"apiVersion": {"const": api_version}, "kind": {"const": kind["kind"]}}
            properties = {**schema.get("properties", {}), **named}
            own = {**schema, "properties": properties, "required": [*schema.get("required", []), *named]}
            needed = {key: strict_ones[key] for key in _needed(definition, definitions)}
            yield _file(group, kind["version"], kind["kind"]), {**own, "definitions": needed}


def of_crd(item: Json) -> Iterator[tuple[str, Json]]:
    """Return a file name and a schema for each version of a CustomResourceDefinition."""
    spec = item["spec"]
    for served in spec["versions"]:
        schema = strict(served["schema"]["openAPIV3Schema"])
        # Its metadata is that of every object; the API server checks it without the definition's help.
        schema["properties"]["metadata"] = {"type": "object"}
        yield _file(spec["group"], served["name"], spec["names"]["kind"]), schema


def strict(schema: Any) -> Any:
    """Return the schema in the words of JSON Schema; an object accepts only properties that it declares."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string") or schema.get("format") == "int-or-string":
        return {"type": ["string", "integer"]}
    if schema.get("description", "").startswith("Quantity is a fixed-point representation"):
        return {"type": ["string", "number"]}
    kept = {key: strict(value) for key, value in schema.items() if key not in DROPPED}
    if "properties" in schema:
        # A property may have the name of a keyword, such as `default`.
        kept["properties"] = {name: strict(value) for name, value in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            kept.setdefault("additionalProperties", False)
    return kept


def _needed(definition: Json, definitions: Json) -> set[str]:
    """Return the names of the definitions that a schema refers to, directly or not."""
    found: set[str] = set()
    waiting = [definition]
    while waiting:
        for name in _references(waiting.pop()):
            if name not in found:
                found.add(name)
                waiting.append(definitions[name])
    return found


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, list):
        for item in schema:
            yield from _references(item)
    elif isinstance(schema, dict):
        reference = schema.get("$ref")
        if isinstance(reference, str):
            yield reference.removeprefix("#/definitions/")
        for value in schema.values():
            yield from _references(value)


def _file(group: str, api_version: str, kind: str) -> str:
    return f"{group or api_version}/{kind.lower()}_{api_version}.json"
