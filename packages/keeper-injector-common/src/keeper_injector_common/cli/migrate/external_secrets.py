"""ExternalSecret objects of the External Secrets Operator, and the annotations that do the same.

Source: https://external-secrets.io/latest/api/externalsecret/.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType

from keeper_injector_common import parsers
from keeper_injector_common.annotations.config import NEEDED_KEYS
from keeper_injector_common.annotations.config_keys import SecretKeys
from keeper_injector_common.annotations.request import DEFAULT_DIRECTORY
from keeper_injector_common.cli.migrate.pods import Pod
from keeper_injector_common.cli.migrate.run import Run
from keeper_injector_common.cli.migrate.secret_documents import (
    SecretSource,
    document_of,
    metadata_of,
    separate,
    wants_of,
)
from keeper_injector_common.cli.migrate.secret_users import secrets_of
from keeper_injector_common.cli.migrate.titles import escaped
from keeper_injector_common.cli.migrate.wanted import Document, Tool, Wanted, merged
from keeper_injector_common.json_values import Json, as_object, as_objects
from keeper_injector_common.plan.delivery import DEFAULT_SECRET_TYPE, file_name

_MIGRATED_KEYS = MappingProxyType(
    {
        "ClusterExternalSecret.spec": {
            "externalSecretName",
            "externalSecretSpec",
            "namespaceSelector",
            "namespaceSelectors",
            "namespaces",
            "refreshTime",
        },
        "spec": {"data", "dataFrom", "refreshInterval", "refreshPolicy", "target"},
        "spec.target": {"creationPolicy", "name", "template"},
        "spec.target.template": {"data", "type"},
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
        "None": ({}, ""),
    }
)
"""The keys of config for each creationPolicy, and what happens when the ExternalSecret is deleted."""


def _wants(pod: Pod, run: Run) -> Wanted:
    """Return what a pod gets from the ExternalSecrets whose Secrets it uses."""
    names = secrets_of(pod)
    return merged(
        wants_of(pod, source, run)
        for source in map(partial(_source, run=run), run.all("ExternalSecret", "ClusterExternalSecret"))
        if source.secret in names and (not source.namespace or not pod.namespace or source.namespace == pod.namespace)
    )


def _migrate_object(manifest: Json, run: Run) -> Document | None:
    """Return the document for an ExternalSecret, or None if *manifest* is something else."""
    if str(manifest.get("kind")) not in {"ExternalSecret", "ClusterExternalSecret"}:
        return None
    return document_of(_source(manifest, run), run)


TOOL = Tool("external-secrets", _wants, migrate_object=_migrate_object)


def _source(manifest: Json, run: Run) -> SecretSource:
    """Return what an ExternalSecret creates, or each of those that a ClusterExternalSecret creates."""
    name, namespace = metadata_of(manifest)
    kind, spec = str(manifest.get("kind")), as_object(manifest.get("spec"))
    problems: list[str] = []
    secret = name
    if kind == "ClusterExternalSecret":
        secret = str(spec.get("externalSecretName") or name)
        problems += _unmigrated("ClusterExternalSecret.spec", spec)
        selectors = sorted(key for key in spec if str(key).startswith("namespace"))
        if selectors:
            found = f"spec.{', spec.'.join(selectors)}: annotations have no selector of namespaces"
            problems.append(f"{found}; put them on the pods in each of these namespaces")
        spec = as_object(spec.get("externalSecretSpec"))
    target = as_object(spec.get("target"))
    secret = str(target.get("name") or secret)
    policy = str(target.get("creationPolicy") or "Owner")
    entries, more = _entries(spec, target, secret, policy)
    settings, interval_problems = _settings(manifest, spec, run)
    if not entries and not more:
        more.append("no record is named, so that nothing is written; list the records")
    return SecretSource(
        f"{kind}/{name}",
        kind.lower(),
        name,
        namespace,
        secret,
        entries,
        settings if entries else (),
        (*problems, *_unmigrated("spec", spec), *more, *interval_problems),
        _POLICIES.get(policy, _POLICIES["Owner"])[1] if entries else "",
    )


def _entries(spec: Json, target: Json, secret: str, policy: str) -> tuple[tuple[Json, ...], list[str]]:
    """Return the entries of ``config``, and what has no counterpart."""
    parts, problems = _parts(spec)
    template_problems = _apply_template(parts, target)
    target_keys, target_problems = _target(target, parts, policy)
    _, rotation, _ = _interval(spec)
    common = {SecretKeys.AS_SECRET.name: True, SecretKeys.SECRET_NAME.name: secret, **target_keys}
    if rotation:
        common[SecretKeys.SECRET_ROTATION.name] = True
    records = list(dict.fromkeys(record for record, _ in parts))
    entries: list[Json] = []
    for number, (record, keys) in enumerate(parts):
        entry: Json = {SecretKeys.RECORD.name: escaped(record.strip().strip("/"))}
        if record not in [other for other, _ in parts[:number]]:
            file = secret if len(records) == 1 else f"{secret}-{record.strip().strip('/')}"
            entry[SecretKeys.PATH.name] = f"{DEFAULT_DIRECTORY}/{file_name(file)}.json"
        if policy != "None":
            entry |= {**common, **({SecretKeys.SECRET_KEYS.name: keys} if keys else {})}
        if len(entry) > 1:
            entries.append(entry)
    merging = separate(entries, "merge") if policy != "None" else tuple(entries)
    return merging, [*problems, *template_problems, *target_problems]


_Part = tuple[str, dict[str, str]]
"""A record, and the keys of the Secret by field. Without keys, all of its fields are written under their own names."""


def _parts(spec: Json) -> tuple[list[_Part], list[str]]:
    """Return the records that are read, and what has no counterpart.

    A record comes twice if one field is written under two keys, or if all of its fields are written beside some keys.
    """
    parts: list[_Part] = []
    problems: list[str] = []
    for item in as_objects(spec.get("data")):
        remote = as_object(item.get("remoteRef"))
        problems += [*_unmigrated("spec.data", item), *_unmigrated("spec.data.remoteRef", remote)]
        key, record = str(item.get("secretKey") or ""), str(remote.get("key") or "")
        if not key or not record:
            problems.append(f"spec.data: {key or 'an item'} names no record or no key; write both, or remove it")
            continue
        if not remote.get("property"):
            problems.append(f"{key} has no property, so the field password is used; set it to a field of the record")
        field = str(remote.get("property") or "password")
        for other, keys in parts:
            if other == record and field not in keys:
                keys[field] = key
                break
        else:
            parts.append((record, {field: key}))
    for item in as_objects(spec.get("dataFrom")):
        extract = as_object(item.get("extract"))
        problems += [*_unmigrated("spec.dataFrom", item), *_unmigrated("spec.dataFrom.extract", extract)]
        record = str(extract.get("key") or "")
        if record and (record, {}) not in parts:
            parts.append((record, {}))
        elif not record and not {"find", "sourceRef"} & item.keys():
            problems.append("spec.dataFrom: an item names no record; write extract.key")
    return parts, problems


_INSERTED = re.compile(r"\{\{-?\s*\.([A-Za-z_]\w*)\s*-?\}\}", re.ASCII)


def _apply_template(parts: list[_Part], target: Json) -> list[str]:
    """Rename the keys of *parts* as a template does that only inserts values; otherwise return what has no counterpart."""
    data = as_object(as_object(target.get("template")).get("data"))
    if not data:
        return []
    path = "spec.target.template.data"
    sources = {key: (index, field) for index, (_, keys) in enumerate(parts) for field, key in keys.items()}
    found = {str(name): _INSERTED.fullmatch(str(text).strip()) for name, text in data.items()}
    written = {name: match[1] for name, match in found.items() if match and match[1] in sources}
    is_whole = len(written) == len(data) and all(keys for _, keys in parts)
    if not is_whole or len(set(written.values())) != len(written):
        names = ", ".join(sorted(set(found) - set(written)) or sorted(found))
        return [f"{path}: {names}: a Secret has no templates here; use template: of a file"]
    for name, key in written.items():
        index, field = sources[key]
        parts[index][1][field] = name
    unused = set(sources) - set(written.values())
    for key in unused:
        index, field = sources[key]
        del parts[index][1][field]
    parts[:] = [part for part in parts if part[1]]
    return []


def _settings(manifest: Json, spec: Json, run: Run) -> tuple[tuple[tuple[str, str], ...], list[str]]:
    """Return the annotations beside ``config``, without prefix, and what has no counterpart."""
    interval, _, problems = _interval(spec)
    settings = [("refresh-interval", interval)] if interval else []
    store = as_object(spec.get("secretStoreRef"))
    kind, name = str(store.get("kind") or "SecretStore"), str(store.get("name") or "")
    _, namespace = metadata_of(manifest)
    found = run.find(kind, "" if kind == "ClusterSecretStore" else namespace, name)
    provider = as_object(as_object(as_object(found or {}).get("spec")).get("provider"))
    if "keepersecurity" not in provider:
        return tuple(settings), problems
    keeper = as_object(provider["keepersecurity"])
    auth = as_object(keeper.get("authRef") or keeper.get("auth"))
    secret, key = str(auth.get("name") or ""), str(auth.get("key") or "config")
    if secret:
        settings.append(("ksm-config", secret))
    if secret and key != "config":
        problems.append(
            f"{kind}/{name}: the KSM configuration is in the key {key} of Secret {secret}; store it as config"
        )
    other = str(auth.get("namespace") or "")
    if other and other != namespace:
        problems.append(
            f"{kind}/{name}: Secret {secret} is in the namespace {other}; copy it to the namespace of the pods"
        )
    return tuple(settings), problems


def _target(target: Json, parts: Sequence[_Part], policy: str) -> tuple[Json, list[str]]:
    """Return the keys of config that say how the Secret is created, and what has no counterpart."""
    template = as_object(target.get("template"))
    problems = [*_unmigrated("spec.target", target), *_unmigrated("spec.target.template", template)]
    if policy == "None":
        return {}, problems
    if policy not in _POLICIES:
        problems.append(f"spec.target.creationPolicy: {policy} is unknown; write Owner, Orphan, Merge or None")
    keys = dict(_POLICIES.get(policy, _POLICIES["Owner"])[0])
    kind = str(template.get("type") or DEFAULT_SECRET_TYPE)
    needed = NEEDED_KEYS.get(kind, set())
    written = {key for _, pairs in parts for key in pairs.values()}
    by_template = set(as_object(template.get("data")))
    if needed - written - by_template and all(pairs for _, pairs in parts):
        problems.append(
            f"spec.target.template.type: a Secret of type {kind} needs the keys {', '.join(sorted(needed))}"
        )
    elif kind != DEFAULT_SECRET_TYPE and needed <= written:
        keys[SecretKeys.SECRET_TYPE.name] = kind
    return keys, problems


def _interval(spec: Json) -> tuple[str, bool, list[str]]:
    """Return the refresh interval (empty if it is the default), whether the Secret is updated, and what has no counterpart."""
    problems = []
    policy = spec.get("refreshPolicy") or "Periodic"
    if policy != "Periodic":
        problems.append(
            f"spec.refreshPolicy: {policy} has no counterpart; every new pod writes the Secret, but refreshes do not"
        )
    text = str(spec.get("refreshInterval", ""))
    # An interval of zero, such as 0 or 0s, means that the Secret is written once.
    if text and not re.search("[1-9]", text):
        return "", False, problems
    try:
        if text:
            parsers.duration(text)
    except parsers.InvalidValue as error:
        problems.append(f"spec.refreshInterval: {error}")
        text = ""
    return text, policy == "Periodic", problems


def _unmigrated(path: str, content: Json) -> Iterator[str]:
    """Iterate over the keys of *content* that have no counterpart, with what to do about each."""
    for key, value in content.items():
        if key in _MIGRATED_KEYS[path] or value in (None, "", [], {}) or _DEFAULTS.get(key) == value:
            continue
        if advice := _ADVICE.get(f"{path}.{key}", _ADVICE.get(key, "no counterpart")):
            yield f"{path}.{key}: {advice}"
