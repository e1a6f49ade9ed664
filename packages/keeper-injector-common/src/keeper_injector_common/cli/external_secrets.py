"""An ExternalSecret → the annotations that do what it does, and what of it has no counterpart; pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import yaml

from keeper_injector_common import parsers
from keeper_injector_common.annotations.config import NEEDED_KEYS
from keeper_injector_common.annotations.parser import parse_request
from keeper_injector_common.annotations.table import PREFIX
from keeper_injector_common.errors import AnnotationsError
from keeper_injector_common.json_values import Json, as_object, as_objects
from keeper_injector_common.plan.delivery import file_name

READ = MappingProxyType(
    {
        "spec": {"data", "dataFrom", "refreshInterval", "refreshPolicy", "target"},
        "spec.target": {"creationPolicy", "name", "template"},
        "spec.target.template": {"type"},
        "spec.data": {"remoteRef", "secretKey"},
        "spec.data.remoteRef": {"key", "property"},
        "spec.dataFrom": {"extract"},
        "spec.dataFrom.extract": {"key"},
    }
)
"""The keys that are read here, by where they stand; any other is lost."""
HARMLESS = MappingProxyType(
    {
        "conversionStrategy": "Default",
        "decodingStrategy": "None",
        "deletionPolicy": "Retain",
        "engineVersion": "v2",
        "immutable": False,
        "mergePolicy": "Replace",
        "metadataPolicy": "None",
        "nullBytePolicy": "Ignore",
    }
)
"""What API servers fill in, and means no more than leaving it out."""
ADVICE = MappingProxyType(
    {
        "secretStoreRef": "",
        "spec.target.template.data": "no counterpart in a Secret; write it as template: of a file",
        "spec.target.template.templateFrom": "no counterpart in a Secret; write it as template: of a file",
        "spec.data.remoteRef.version": "no counterpart; Keeper gives a record as it is now",
        "spec.dataFrom.find": "no counterpart; list the records",
    }
)
POLICIES: Mapping[str, tuple[Json, str]] = MappingProxyType(
    {
        "Owner": ({}, "Its Secret goes with it; the agent overwrites none that is not its own."),
        "Orphan": (
            {"k8sSecretOwnerRef": False},
            "Delete its Secret too, which stays: the agent overwrites none that is not its own.",
        ),
        "Merge": ({"k8sSecretMode": "merge"}, "The Secret stays, and gets the same keys from the agent."),
    }
)
"""Who owns the Secret → our keys for it, and what happens when the ExternalSecret is deleted."""


def counterpart(manifest: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Return the annotations as a commented document, and all that has no counterpart."""
    metadata = as_object(manifest.get("metadata"))
    name = str(metadata.get("name"))
    spec = as_object(manifest.get("spec"))
    target = as_object(spec.get("target"))
    secret_name = str(target.get("name") or name)
    left = list(_unread("spec", spec))
    records = _records(spec, left)
    common = {"injectAsK8sSecret": True, "k8sSecretName": secret_name, **_target(target, records, left)}
    interval, rotates = _interval(spec, left)
    if rotates:
        common["k8sSecretRotation"] = True
    if len(records) > 1:
        left.append("several records in one Secret; give each a Secret of its own, or files")
    secrets = [
        {
            "record": record,
            "path": f"/keeper/secrets/{secret_name if len(records) == 1 else file_name(record)}.json",
            **common,
            **({"k8sSecretKeys": keys} if keys else {}),
        }
        for record, keys in records.items()
    ]
    annotations = {f"{PREFIX}inject": "true", **interval}
    config = yaml.safe_dump({"secrets": secrets}, sort_keys=False, allow_unicode=True)
    try:
        parse_request({**annotations, f"{PREFIX}config": config})
    except AnnotationsError as error:
        left += [f"the webhook would deny what is written instead: {problem}" for problem in error.problems]
    lines = [
        *_comment(metadata, secret_name, str(target.get("creationPolicy") or "Owner")),
        "annotations:",
        *(f"  {key}: {json.dumps(value)}" for key, value in annotations.items()),
        f"  {PREFIX}config: |",
        *(f"    {line}" for line in config.splitlines()),
    ]
    return "\n".join(lines) + "\n", [f"ExternalSecret/{name}: {what}" for what in left]


def _comment(metadata: Json, secret: str, policy: str) -> Iterator[str]:
    name, namespace = metadata.get("name"), metadata.get("namespace")
    where = f" -n {namespace}" if namespace else ""
    _, gone = POLICIES.get(policy, POLICIES["Owner"])
    yield "---"
    yield f"# Instead of ExternalSecret/{name}: on the pods that use Secret {secret}. In this order:"
    yield f"# 1. kubectl delete externalsecret {name}{where}"
    yield f"#    {gone}"
    yield f"# 2. Let the pods' service account write it: value kubernetesSecrets.namespaces: [{namespace or '…'}] of the chart."
    yield "# 3. Put these annotations on the pod template, and restart the workload."
    yield "# The file needs no Secret; remove injectAsK8sSecret and what begins with k8sSecret once the application reads it."


def _records(spec: Json, left: list[str]) -> dict[str, dict[str, str]]:
    """Return the keys of the Secret by record and field; no keys stand for all fields under their own names."""
    records: dict[str, dict[str, str]] = {}
    for item in as_objects(spec.get("data")):
        remote = as_object(item.get("remoteRef"))
        left += [*_unread("spec.data", item), *_unread("spec.data.remoteRef", remote)]
        key, record = str(item.get("secretKey")), str(remote.get("key"))
        if not remote.get("property"):
            left.append(f"{key} has no property; name the field of the record")
        field = str(remote.get("property") or "password")
        first = records.setdefault(record, {}).setdefault(field, key)
        if first != key:
            left.append(f"{key}: {field} of {record} is written as {first} already; read that, or use a file")
    for item in as_objects(spec.get("dataFrom")):
        extract = as_object(item.get("extract"))
        left += [*_unread("spec.dataFrom", item), *_unread("spec.dataFrom.extract", extract)]
        record = str(extract.get("key") or "")
        if records.get(record):
            left.append(
                f"dataFrom.extract of {record}, beside data of the same record; name each field in k8sSecretKeys"
            )
        elif record:
            records[record] = {}
        elif not item.get("find"):
            left.append("dataFrom without extract.key; list the records")
    return records


def _target(target: Json, records: Mapping[str, Mapping[str, str]], left: list[str]) -> Json:
    """Return our keys for how the Secret is made."""
    template = as_object(target.get("template"))
    left += [*_unread("spec.target", target), *_unread("spec.target.template", template)]
    policy = str(target.get("creationPolicy") or "Owner")
    if policy not in POLICIES:
        left.append(f"spec.target.creationPolicy: {policy} makes no Secret; remove all that begins with k8sSecret")
    found = dict(POLICIES.get(policy, POLICIES["Owner"])[0])
    kind = str(template.get("type") or "Opaque")
    needed = NEEDED_KEYS.get(kind, set())
    if any(keys and not needed <= set(keys.values()) for keys in records.values()):
        left.append(f"spec.target.template.type: a Secret of type {kind} needs {', '.join(sorted(needed))}")
    elif kind != "Opaque":
        found["k8sSecretType"] = kind
    return found


def _interval(spec: Json, left: list[str]) -> tuple[dict[str, str], bool]:
    """Return the annotation for how often Keeper is asked, and whether the Secret follows."""
    policy = spec.get("refreshPolicy") or "Periodic"
    if policy != "Periodic":
        left.append(f"spec.refreshPolicy: {policy}; here every new pod writes the Secret, refreshes do not")
    text = str(spec.get("refreshInterval", ""))
    if text and not re.search("[1-9]", text):
        return {}, False
    try:
        if text:
            parsers.duration(text)
    except parsers.InvalidValue as error:
        left.append(f"spec.refreshInterval: {error}")
        text = ""
    return {f"{PREFIX}refresh-interval": text} if text else {}, policy == "Periodic"


def _unread(where: str, content: Json) -> Iterator[str]:
    """Iterate over what is in *content* and would be lost."""
    for key, value in content.items():
        if key in READ[where] or value in (None, "", [], {}) or HARMLESS.get(key) == value:
            continue
        if advice := ADVICE.get(f"{where}.{key}", ADVICE.get(key, "no counterpart")):
            yield f"{where}.{key}: {advice}"
