"""1Password's Secrets Injector and Kubernetes Operator.

Sources: https://developer.1password.com/docs/k8s/injector/, https://developer.1password.com/docs/k8s/operator/ and
``pkg/webhook/webhook.go`` of kubernetes-secrets-injector.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import yaml

from keeper_injector_common.annotations.config_keys import SecretKeys
from keeper_injector_common.annotations.request import DEFAULT_DIRECTORY
from keeper_injector_common.cli.manifests import Entry, entries_of
from keeper_injector_common.cli.migrate.pods import Item, Pod, entries_by_key, text_of
from keeper_injector_common.cli.migrate.replacements import NO_COUNTERPART, Annotations, replace
from keeper_injector_common.cli.migrate.run import Run
from keeper_injector_common.cli.migrate.secret_documents import SecretSource, document_of, metadata_of, wants_of
from keeper_injector_common.cli.migrate.secret_users import secrets_of
from keeper_injector_common.cli.migrate.wanted import (
    Document,
    Origin,
    Removal,
    Tool,
    Unmigrated,
    Wanted,
    WantedEntry,
    WantedVariable,
    merged,
    reference,
)
from keeper_injector_common.json_values import Json, as_object
from keeper_injector_common.plan.delivery import DEFAULT_SECRET_TYPE, file_name

PREFIX = "operator.1password.io/"
_CREDENTIALS = ("OP_CONNECT_HOST", "OP_CONNECT_TOKEN", "OP_SERVICE_ACCOUNT_TOKEN")
_SCHEME = "op://"
_REFERENCE = re.compile(r"op://([^/?]+)/([^/?]+)/(?:[^/?]+/)?([^/?]+)")
"""``op://VAULT/ITEM/[SECTION/]FIELD``."""
_ITEM = re.compile(r"vaults/([^/]+)/items/([^/]+)")
_OF_OPERATOR = ("item-path", "item-name", "auto-restart")
"""Annotations of the operator, which may be on the workload itself."""
_NOT_NEEDED = ("status", "version", "item-version", "last-restarted")
_KEYS = "check that the fields of the record are the keys of the Secret; otherwise list them in k8sSecretKeys"


def _wants(pod: Pod, run: Run) -> Wanted:
    own = entries_by_key(pod, PREFIX)
    if not pod.inherited and "template" in as_object(pod.manifest.get("spec")):
        # The annotations of the operator on a workload are migrated with its pod template.
        return replace(pod, (PREFIX,), lambda entry, _: None if _name(entry) in _OF_OPERATOR else Annotations())
    return merged(
        [
            replace(pod, (PREFIX,), lambda entry, entries: _counterpart(entry, entries, pod)),
            _variables(pod, own["inject"].text, run) if "inject" in own else Wanted(),
            _operator(pod, run),
            *(wants_of(pod, source, run) for source in _sources_for(pod, run)),
        ]
    )


def _name(entry: Entry) -> str:
    return entry.key.removeprefix(PREFIX)


def _counterpart(entry: Entry, _entries: Mapping[str, Entry], pod: Pod) -> Annotations | None:
    name = _name(entry)
    if name == "inject":
        return Annotations() if pod.template else None
    if name in _OF_OPERATOR:
        # :func:`_operator` migrates them.
        return Annotations() if pod.inherited else Annotations(unmigrated=NO_COUNTERPART)
    return Annotations(unmigrated="" if name in _NOT_NEEDED else NO_COUNTERPART)


def _variables(pod: Pod, listed: str, run: Run) -> Wanted:
    """Return the variables of the containers that the annotation ``inject`` lists."""
    receivers = {name.strip() for name in listed.split(",")} - {""}
    variables: list[WantedVariable] = []
    removals: list[Removal] = []
    remarks: list[Unmigrated] = []
    position = next(entry.position for entry in pod.entries if entry.key == f"{PREFIX}inject")
    if not pod.template:
        found = f"the containers with values that begin with {_SCHEME} are in another text; migrate both as one object"
        return Wanted(remarks=[Unmigrated(position, f"{PREFIX}inject: {found}")])
    for container in pod.containers():
        for item in container.items("env"):
            value = text_of(item.content, "value")
            if container.name in receivers and item.name in _CREDENTIALS:
                removals.append(Removal.of(item))
            elif not value.startswith(_SCHEME):
                continue
            elif container.name not in receivers:
                found = (
                    f"{item.name}: 1Password does not inject into container {container.name}, and the variable stays"
                )
                remarks.append(Unmigrated(item.position, f"{found}; remove it, or write env-{item.name}"))
            elif match := _REFERENCE.fullmatch(value):
                variables.append(_variable(container, item, match, run))
            else:
                found = f"{item.name}: {value!r} is not a reference to a field; write env-{item.name} instead"
                remarks.append(Unmigrated(item.position, found))
    if not variables:
        found = f"no variable of these containers has a value that begins with {_SCHEME}"
        remarks.append(Unmigrated(position, f"{PREFIX}inject: {found}"))
    unknown = sorted(receivers - {container.name for container in pod.containers()})
    remarks += [Unmigrated(position, f"{PREFIX}inject: the pod has no container {name!r}") for name in unknown]
    return Wanted(variables=variables, removals=removals, remarks=remarks)


def _variable(container: Item, item: Item, match: re.Match[str], run: Run) -> WantedVariable:
    vault, record, field = match.groups()
    origin = Origin(position=item.position, label=item.name, removals=(Removal.of(item),))
    return WantedVariable(item.name, reference(run.titles.of(f"{vault}/{record}"), field), origin, container.name)


def _operator(pod: Pod, run: Run) -> Wanted:
    """Return the Secret that the operator creates for a workload by annotations."""
    found: list[tuple[yaml.MappingNode, int, Entry]] = []
    for node in filter(None, (pod.outer, pod.annotations if pod.inherited else None)):
        found += [(node, index, entry) for index, entry in enumerate(entries_of(node)) if _is_operators(entry)]
    texts = {_name(entry): entry.text for _, _, entry in found}
    if not texts or not pod.template:
        return Wanted()
    remarks: list[Unmigrated] = []
    position = found[0][2].position
    if texts.get("auto-restart") == "true":
        advice = "the application reads its files again; use signal or notify-url to notify it"
        remarks.append(Unmigrated(position, f"{PREFIX}auto-restart: pods are not restarted; {advice}"))
    removals = tuple(Removal(node, index) for node, index, _ in found if node is pod.outer)
    path, secret = texts.get("item-path", ""), texts.get("item-name", "")
    match = _ITEM.fullmatch(path.strip())
    if match is None or not secret:
        if path or secret:
            remarks.append(Unmigrated(position, f"{PREFIX}item-path: no item or no item-name; write config"))
        return Wanted(remarks=remarks, removals=() if path or secret else removals)
    origin = Origin(position=position, label=f"{PREFIX}item-path", removals=removals)
    remarks.append(Unmigrated(position, f"{PREFIX}item-name: {_KEYS}"))
    entry = _entry(secret, run.titles.of("/".join(match.groups())), DEFAULT_SECRET_TYPE)
    return Wanted(entries=[WantedEntry(entry, origin)], remarks=remarks)


def _is_operators(entry: Entry) -> bool:
    return entry.key.startswith(PREFIX) and _name(entry) in _OF_OPERATOR


def _entry(secret: str, record: str, kind: str) -> Json:
    """Return the entry of ``config`` for the Secret that the operator creates, which it keeps up to date."""
    return {
        SecretKeys.RECORD.name: record,
        SecretKeys.PATH.name: f"{DEFAULT_DIRECTORY}/{file_name(secret)}.json",
        SecretKeys.AS_SECRET.name: True,
        SecretKeys.SECRET_NAME.name: secret,
        **({SecretKeys.SECRET_TYPE.name: kind} if kind != DEFAULT_SECRET_TYPE else {}),
        SecretKeys.SECRET_ROTATION.name: True,
    }


def _sources_for(pod: Pod, run: Run) -> Iterator[SecretSource]:
    names = secrets_of(pod)
    for manifest in run.all("OnePasswordItem"):
        source = _source(manifest, run)
        if source.secret in names and source.namespace in {pod.namespace, ""}:
            yield source


def _source(manifest: Json, run: Run) -> SecretSource:
    name, namespace = metadata_of(manifest)
    path = text_of(as_object(manifest.get("spec")), "itemPath")
    match = _ITEM.fullmatch(path.strip())
    kind = str(manifest.get("type") or DEFAULT_SECRET_TYPE)
    return SecretSource(
        label=f"OnePasswordItem/{name}",
        kind="onepassworditem",
        name=name,
        namespace=namespace,
        secret=name,
        entries=(_entry(name, run.titles.of("/".join(match.groups())), kind),) if match else (),
        problems=(_KEYS,) if match else (f"spec.itemPath: {path!r} names no item; write vaults/VAULT/items/ITEM",),
        deletion="This also deletes its Secret. The agent does not overwrite a Secret that it did not create.",
    )


def _migrate_object(manifest: Json, run: Run) -> Document | None:
    return document_of(_source(manifest, run), run) if manifest.get("kind") == "OnePasswordItem" else None


TOOL = Tool("1password", _wants, (PREFIX,), _migrate_object)
