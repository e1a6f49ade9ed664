"""ExternalSecret objects of the External Secrets Operator, and the annotations that do the same.

Source: https://external-secrets.io/latest/api/externalsecret/.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

import yaml

from keeper_injector_common import parsers
from keeper_injector_common.annotations.config import NEEDED_KEYS
from keeper_injector_common.annotations.config_keys import SECRETS, SecretKeys
from keeper_injector_common.annotations.parser import parse_request
from keeper_injector_common.annotations.request import DEFAULT_DIRECTORY
from keeper_injector_common.annotations.table import PREFIX
from keeper_injector_common.cli.migrate.counterparts import Document
from keeper_injector_common.errors import AnnotationsError
from keeper_injector_common.json_values import Json, as_object, as_objects
from keeper_injector_common.plan.delivery import DEFAULT_SECRET_TYPE, file_name

_MIGRATED_KEYS = MappingProxyType(
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
"""The keys that have a counterpart, by path. All other keys are reported."""
_DEFAULTS = MappingProxyType(
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
"""Defaults that the API server fills in. They mean the same as a missing key, and are not reported."""
_ADVICE = MappingProxyType(
    {
        "secretStoreRef": "",
        "spec.target.template.data": "a Secret has no templates here; use template: of a file",
        "spec.target.template.templateFrom": "a Secret has no templates here; use template: of a file",
        "spec.data.remoteRef.version": "no counterpart; Keeper returns the current version of a record",
        "spec.dataFrom.find": "no counterpart; list the records",
    }
)
"""What to do about keys without a counterpart, by path or name. An empty text means that the key is not needed."""
_POLICIES: Mapping[str, tuple[Json, str]] = MappingProxyType(
    {
        "Owner": ({}, "This also deletes its Secret. The agent does not overwrite a Secret that it did not create."),
        "Orphan": (
            {SecretKeys.SECRET_OWNER.name: False},
            "Delete its Secret too: the agent does not overwrite a Secret that it did not create.",
        ),
        "Merge": (
            {SecretKeys.SECRET_MODE.name: "merge"},
            "The Secret is kept, and the agent writes the same keys to it.",
        ),
    }
)
"""The keys of config for each creationPolicy, and what happens when the ExternalSecret is deleted."""


def migrate_external_secret(manifest: Json) -> Document | None:
    """Return the annotations for the pods that use the Secret, or None if *manifest* is not an ExternalSecret."""
    if manifest.get("kind") != "ExternalSecret":
        return None
    metadata, spec = as_object(manifest.get("metadata")), as_object(manifest.get("spec"))
    name = str(metadata.get("name"))
    target = as_object(spec.get("target"))
    secret = str(target.get("name") or name)
    annotations, config, problems = _annotations(spec, target, secret)
    lines = [
        *_instructions(metadata, secret, str(target.get("creationPolicy") or "Owner")),
        "annotations:",
        *(f"  {key}: {json.dumps(value)}" for key, value in annotations.items()),
        f"  {PREFIX}config: |",
        *(f"    {line}" for line in config.splitlines()),
    ]
    return Document("\n".join(lines) + "\n", tuple(f"ExternalSecret/{name}: {problem}" for problem in problems))


def _annotations(spec: Json, target: Json, secret: str) -> tuple[dict[str, str], str, list[str]]:
    """Return the annotations, the value of the annotation ``config``, and what has no counterpart."""
    records, record_problems = _records(spec)
    target_keys, target_problems = _target(target, records)
    interval, rotation, interval_problems = _interval(spec)
    problems = [*_unmigrated("spec", spec), *record_problems, *target_problems, *interval_problems]
    common = {SecretKeys.AS_SECRET.name: True, SecretKeys.SECRET_NAME.name: secret, **target_keys}
    if rotation:
        common[SecretKeys.SECRET_ROTATION.name] = True
    if len(records) > 1:
        problems.append("several records are in one Secret; use a Secret for each record, or files")
    secrets = [
        {
            SecretKeys.RECORD.name: record,
            SecretKeys.PATH.name: f"{DEFAULT_DIRECTORY}/{secret if len(records) == 1 else file_name(record)}.json",
            **common,
            **({SecretKeys.SECRET_KEYS.name: keys} if keys else {}),
        }
        for record, keys in records.items()
    ]
    annotations = {f"{PREFIX}inject": "true", **interval}
    config = yaml.safe_dump({SECRETS: secrets}, sort_keys=False, allow_unicode=True)
    try:
        parse_request({**annotations, f"{PREFIX}config": config})
    except AnnotationsError as error:
        problems += [f"the webhook would reject the migrated annotations: {problem}" for problem in error.problems]
    return annotations, config, problems


def _instructions(metadata: Json, secret: str, policy: str) -> Iterator[str]:
    """Iterate over the comment lines that tell the user how to replace the ExternalSecret on a live cluster."""
    name, namespace = metadata.get("name"), metadata.get("namespace")
    option = f" -n {namespace}" if namespace else ""
    _, deletion = _POLICIES.get(policy, _POLICIES["Owner"])
    yield "---"
    yield f"# Replaces ExternalSecret/{name}, for the pods that use the Secret {secret}. Follow these steps in order:"
    yield f"# 1. kubectl delete externalsecret {name}{option}"
    yield f"#    {deletion}"
    yield f"# 2. Allow the pods' service account to write the Secret: set the chart values kubernetesSecrets.namespaces: [{namespace or '…'}]"
    yield "#    and kubernetesSecrets.serviceAccounts with its name."
    yield "# 3. Add these annotations to the pod template, and restart the workload."
    yield "# When the application reads the file, the Secret is not needed: remove injectAsK8sSecret and all keys that begin with k8sSecret."


def _records(spec: Json) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Return the keys of the Secret by record and field, and what has no counterpart.

    A record without keys means that all of its fields are written under their own names.
    """
    records: dict[str, dict[str, str]] = {}
    problems: list[str] = []
    for item in as_objects(spec.get("data")):
        remote = as_object(item.get("remoteRef"))
        problems += [*_unmigrated("spec.data", item), *_unmigrated("spec.data.remoteRef", remote)]
        key, record = str(item.get("secretKey")), str(remote.get("key"))
        if not remote.get("property"):
            problems.append(f"{key} has no property; set it to a field of the record")
        field = str(remote.get("property") or "password")
        first = records.setdefault(record, {}).setdefault(field, key)
        if first != key:
            problems.append(f"{key}: field {field} of {record} is already written as {first}; use that key, or a file")
    for item in as_objects(spec.get("dataFrom")):
        extract = as_object(item.get("extract"))
        problems += [*_unmigrated("spec.dataFrom", item), *_unmigrated("spec.dataFrom.extract", extract)]
        record = str(extract.get("key") or "")
        if records.get(record):
            problems.append(
                f"dataFrom.extract: record {record} is also in data; list each of its fields in k8sSecretKeys"
            )
        elif record:
            records[record] = {}
        elif not item.get("find"):
            problems.append("dataFrom has no extract.key; list the records")
    return records, problems


def _target(target: Json, records: Mapping[str, Mapping[str, str]]) -> tuple[Json, list[str]]:
    """Return the keys of config that say how the Secret is created, and what has no counterpart."""
    template = as_object(target.get("template"))
    problems = [*_unmigrated("spec.target", target), *_unmigrated("spec.target.template", template)]
    policy = str(target.get("creationPolicy") or "Owner")
    if policy not in _POLICIES:
        problems.append(
            f"spec.target.creationPolicy: {policy} creates no Secret; remove all keys that begin with k8sSecret"
        )
    keys = dict(_POLICIES.get(policy, _POLICIES["Owner"])[0])
    kind = str(template.get("type") or DEFAULT_SECRET_TYPE)
    needed = NEEDED_KEYS.get(kind, set())
    if any(written and not needed <= set(written.values()) for written in records.values()):
        problems.append(
            f"spec.target.template.type: a Secret of type {kind} needs the keys {', '.join(sorted(needed))}"
        )
    elif kind != DEFAULT_SECRET_TYPE:
        keys[SecretKeys.SECRET_TYPE.name] = kind
    return keys, problems


def _interval(spec: Json) -> tuple[dict[str, str], bool, list[str]]:
    """Return the refresh interval as an annotation, whether the Secret is updated, and what has no counterpart."""
    problems = []
    policy = spec.get("refreshPolicy") or "Periodic"
    if policy != "Periodic":
        problems.append(
            f"spec.refreshPolicy: {policy} has no counterpart; every new pod writes the Secret, but refreshes do not"
        )
    text = str(spec.get("refreshInterval", ""))
    # An interval of zero, such as 0 or 0s, means that the Secret is written once.
    if text and not re.search("[1-9]", text):
        return {}, False, problems
    try:
        if text:
            parsers.duration(text)
    except parsers.InvalidValue as error:
        problems.append(f"spec.refreshInterval: {error}")
        text = ""
    return {f"{PREFIX}refresh-interval": text} if text else {}, policy == "Periodic", problems


def _unmigrated(path: str, content: Json) -> Iterator[str]:
    """Iterate over the keys of *content* that have no counterpart, with what to do about each."""
    for key, value in content.items():
        if key in _MIGRATED_KEYS[path] or value in (None, "", [], {}) or _DEFAULTS.get(key) == value:
            continue
        if advice := _ADVICE.get(f"{path}.{key}", _ADVICE.get(key, "no counterpart")):
            yield f"{path}.{key}: {advice}"
