"""ExternalSecret objects of the External Secrets Operator, and the annotations that do the same.

Source: https://external-secrets.io/latest/api/externalsecret/.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType

from keeper_injector_common import parsers
from keeper_injector_common.annotations.config import NEEDED_KEYS
from keeper_injector_common.annotations.config_keys import SecretKeys
from keeper_injector_common.annotations.request import DEFAULT_DIRECTORY
from keeper_injector_common.cli.migrate.external_secret_data import Part, apply_template, read_parts, unmigrated
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
from keeper_injector_common.json_values import Json, as_object
from keeper_injector_common.plan.delivery import DEFAULT_SECRET_TYPE, file_name

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
        problems += unmigrated("ClusterExternalSecret.spec", spec)
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
        (*problems, *unmigrated("spec", spec), *more, *interval_problems),
        _POLICIES.get(policy, _POLICIES["Owner"])[1] if entries else "",
    )


def _entries(spec: Json, target: Json, secret: str, policy: str) -> tuple[tuple[Json, ...], list[str]]:
    """Return the entries of ``config``, and what has no counterpart."""
    parts, problems = read_parts(spec)
    template_problems = apply_template(parts, target)
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


def _target(target: Json, parts: Sequence[Part], policy: str) -> tuple[Json, list[str]]:
    """Return the keys of config that say how the Secret is created, and what has no counterpart."""
    template = as_object(target.get("template"))
    problems = [*unmigrated("spec.target", target), *unmigrated("spec.target.template", template)]
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
