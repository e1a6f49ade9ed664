"""CyberArk's Secrets Provider for Kubernetes: annotations, its container and volumes, and Secrets with ``conjur-map``.

Source: ``PUSH_TO_FILE.md``, ``ROTATION.md`` and ``pkg/k8s_secrets_storage`` of secrets-provider-for-k8s.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import attrs

from keeper_injector_common.annotations.config_keys import SecretKeys
from keeper_injector_common.cli.manifests import Entry
from keeper_injector_common.cli.migrate.conjur_groups import Group, UntranslatableError, Variable, read_variables
from keeper_injector_common.cli.migrate.pods import Item, Pod, entries_by_key, text_of
from keeper_injector_common.cli.migrate.replacements import IDENTITY, NO_COUNTERPART, Annotations, replace
from keeper_injector_common.cli.migrate.run import Run
from keeper_injector_common.cli.migrate.secret_documents import metadata_of, separate
from keeper_injector_common.cli.migrate.vault_k8s import boolean, interval, level
from keeper_injector_common.cli.migrate.wanted import (
    Origin,
    Removal,
    Setting,
    Tool,
    Unmigrated,
    Wanted,
    WantedEntry,
    merged,
)
from keeper_injector_common.json_values import Json, as_object
from keeper_injector_common.parsers import InvalidValue
from keeper_injector_common.yaml_document import load_yaml

PREFIX = "conjur.org/"
_DIRECTORY = "/conjur/secrets"
"""Where the provider's container mounts the volume with the files."""
_OWN_DIRECTORIES = ("/conjur/podinfo", "/conjur/status", _DIRECTORY)
_IMAGE = "secrets-provider-for-k8s"
_LABEL = f"{PREFIX}managed-by-provider"
_MAP = "conjur-map"
_GROUP_KEYS = MappingProxyType(
    {
        "conjur-secrets": "secrets",
        "conjur-secrets-policy-path": "policy_path",
        "secret-file-path": "path",
        "secret-file-format": "format",
        "secret-file-template": "template",
        "secret-file-permissions": "permissions",
    }
)
"""The annotations of a group, each followed by a dot and the name of the group."""


def _wants(pod: Pod, run: Run) -> Wanted:
    own = entries_by_key(pod, PREFIX)
    if not own or not pod.inherited:
        return replace(pod, (PREFIX,), _counterpart)
    provider = _Provider.of(pod)
    is_sidecar = own["container-mode"].text == "sidecar" if "container-mode" in own else False
    return merged(
        [
            replace(pod, (PREFIX,), _counterpart),
            _mode_of(pod, own),
            _files(pod, own, provider, run),
            _secrets(pod, own, provider, run, rotates=is_sidecar),
            Wanted(remarks=list(provider.remarks())),
        ]
    )


def _counterpart(entry: Entry, _entries: Mapping[str, Entry]) -> Annotations:
    name = entry.key.removeprefix(PREFIX)
    match name:
        case "log-level":
            return Annotations({"log-level": level(entry.text)})
        case "secrets-refresh-interval":
            return Annotations({"refresh-interval": interval(entry.text)})
        case "container-mode" | "secrets-refresh-enabled" | "secrets-destination" | "k8s-secrets":
            return Annotations()  # see _mode_of, _files and _secrets
        case "authn-identity":
            return Annotations(not_needed=IDENTITY)
        case _:
            is_known = name.partition(".")[0] in _GROUP_KEYS  # see _files
            return Annotations(unmigrated="" if is_known else NO_COUNTERPART)


def _mode_of(pod: Pod, own: Mapping[str, Entry]) -> Wanted:
    """Return ``init-only``, unless the provider was a sidecar that refreshes."""
    mode = own.get("container-mode")
    enabled = own.get("secrets-refresh-enabled")
    refreshes = (mode is not None and mode.text == "sidecar") or "secrets-refresh-interval" in own
    if refreshes and (enabled is None or boolean(enabled.text) == "true"):
        return Wanted()
    entry = mode or enabled or next(iter(own.values()))
    index = pod.entries.index(entry)
    origin = Origin(position=entry.position, label=entry.key, index=index)
    return Wanted(settings=[Setting("init-only", "true", origin)])


@attrs.frozen
class _Provider:
    """The container of the provider in a pod, and what is there for it."""

    containers: tuple[Item, ...]
    removals: tuple[Removal, ...]
    directories: tuple[tuple[str, str], ...]
    """Where other containers mount the volume with the files: container and path."""
    status: tuple[Item, ...] = ()
    """Mounts of the volume that tells of changes."""

    @classmethod
    def of(cls, pod: Pod) -> _Provider:
        """Find the provider in a pod."""
        own = [container for container in pod.containers() if _is_provider(container)]
        paths = {
            mount.name: text_of(mount.content, "mountPath").rstrip("/")
            for container in own
            for mount in container.items("volumeMounts")
        }
        others = [(container, mount) for container in pod.containers() for mount in container.items("volumeMounts")]
        others = [(container, mount) for container, mount in others if not _is_provider(container)]
        shared = {mount.name for _, mount in others}
        unneeded = {name for name, path in paths.items() if path in _OWN_DIRECTORIES or name not in shared}
        removals = [
            *map(Removal.of, own),
            *(Removal.of(volume) for volume in pod.volumes() if volume.name in unneeded),
            *(Removal.of(mount) for _, mount in others if mount.name in unneeded),
        ]
        directories = tuple(
            (container.name, text_of(mount.content, "mountPath").rstrip("/"))
            for container, mount in others
            if paths.get(mount.name) == _DIRECTORY
        )
        status = tuple(mount for _, mount in others if paths.get(mount.name) == "/conjur/status")
        return cls(tuple(own), tuple(removals), directories, status)

    def remarks(self) -> Iterator[Unmigrated]:
        """Iterate over what the containers of the application have to do otherwise."""
        for mount in self.status:
            advice = "use signal or notify-url to notify the application, and remove probes that read it"
            yield Unmigrated(mount.position, f"volume {mount.name}: the provider's status has no counterpart; {advice}")


def _is_provider(container: Item) -> bool:
    mounts = {text_of(mount.content, "mountPath").rstrip("/") for mount in container.items("volumeMounts")}
    return _IMAGE in text_of(container.content, "image") or "/conjur/podinfo" in mounts


def _files(pod: Pod, own: Mapping[str, Entry], provider: _Provider, run: Run) -> Wanted:
    """Return the files of the groups, where the containers of the application read them."""
    entries: list[WantedEntry] = []
    remarks: list[Unmigrated] = []
    groups = {name.removeprefix("conjur-secrets."): entry for name, entry in own.items() if _is_group(name)}
    lost = _untranslated(own, set(groups))
    remarks += [
        Unmigrated(
            entry.position,
            f"{entry.key}: it is about a group without conjur-secrets, and removed; add conjur-secrets, and migrate again, if it has some",
        )
        for entry in lost
    ]
    directories = sorted({path for _, path in provider.directories}) or [_DIRECTORY]
    if groups and not provider.directories:
        entry = next(iter(groups.values()))
        found = f"no container mounts the volume of {_DIRECTORY}, so that the files are written there"
        remarks.append(
            Unmigrated(entry.position, f"{entry.key}: {found}; set path: to where the application reads them")
        )
    names = {container.name for container in pod.containers() if not _is_provider(container)}
    found_all: list[tuple[Origin, Json]] = []
    complete = True
    for name, entry in groups.items():
        origin = Origin(
            position=entry.position, label=entry.key, removals=provider.removals, index=pod.entries.index(entry)
        )
        keys = {key: own[f"{stem}.{name}"].text for stem, key in _GROUP_KEYS.items() if f"{stem}.{name}" in own}
        group = Group(name=name, **keys)
        try:
            for directory in directories:
                receivers = sorted(container for container, path in provider.directories if path == directory)
                content = group.entry(f"{directory}/{group.file()}", run.titles)
                if receivers and set(receivers) != names:
                    content[SecretKeys.CONTAINERS.name] = receivers
                found_all.append((origin, content))
        except UntranslatableError as error:
            complete = False
            remarks.append(Unmigrated(entry.position, f"{entry.key}: {error}"))
    if not complete:
        found_all = [(attrs.evolve(origin, removals=()), content) for origin, content in found_all]
        for container in provider.containers:
            found = f"container {container.name} stays, because not every group is migrated"
            remarks.append(Unmigrated(container.position, f"{found}; remove it with its volumes afterwards"))
    entries += [WantedEntry(content, origin) for origin, content in found_all]
    return Wanted(entries=entries, remarks=remarks)


def _is_group(name: str) -> bool:
    return name.startswith("conjur-secrets.")


def _untranslated(own: Mapping[str, Entry], groups: set[str]) -> list[Entry]:
    """Return the annotations of groups that have no secrets."""
    found = []
    for name, entry in own.items():
        stem, _, group = name.partition(".")
        if stem in _GROUP_KEYS and group not in groups:
            found.append(entry)
    return found


def _secrets(pod: Pod, own: Mapping[str, Entry], provider: _Provider, run: Run, *, rotates: bool) -> Wanted:
    """Return the Kubernetes Secrets that the provider fills in."""
    destination = own.get("secrets-destination")
    listed = own.get("k8s-secrets")
    if destination is None or destination.text != "k8s_secrets":
        return Wanted()
    entry = listed or destination
    entries: list[WantedEntry] = []
    remarks: list[Unmigrated] = []
    complete = True
    for name in _names(listed.text) if listed else _labelled(pod, run):
        label = f"Secret/{name}"
        try:
            found = _entries_of_secret(run.find("Secret", pod.namespace, name), name, run, rotates=rotates)
        except UntranslatableError as error:
            complete = False
            remarks.append(Unmigrated(entry.position, f"{label}: {error}"))
        else:
            origin = Origin(
                position=entry.position, label=label, removals=provider.removals, index=pod.entries.index(entry)
            )
            entries += [WantedEntry(content, origin) for content in found]
            remarks.append(Unmigrated(entry.position, f"{label}: remove {_MAP} from it; the agent adds the same keys"))
    if not complete:
        entries = [attrs.evolve(item, origin=attrs.evolve(item.origin, removals=())) for item in entries]
    return Wanted(entries=entries, remarks=remarks)


def _names(text: str) -> Sequence[str]:
    try:
        content = load_yaml(text)
    except InvalidValue:
        content = None
    return [str(item) for item in content] if isinstance(content, list) else [name.strip() for name in text.split(",")]


def _labelled(pod: Pod, run: Run) -> Iterator[str]:
    """Iterate over the Secrets of the namespace that the provider finds by their label."""
    for manifest in run.all("Secret"):
        name, namespace = metadata_of(manifest)
        labels = as_object(as_object(manifest.get("metadata")).get("labels"))
        if namespace in {pod.namespace, ""} and str(labels.get(_LABEL)).lower() == "true":
            yield name


def _entries_of_secret(manifest: Json | None, name: str, run: Run, *, rotates: bool) -> tuple[Json, ...]:
    """Return the entries of ``config`` for a Secret, or raise :class:`UntranslatableError`."""
    if manifest is None:
        raise UntranslatableError("it is not in the input; add it, and migrate again")
    annotations = as_object(as_object(manifest.get("metadata")).get("annotations"))
    if any(str(key).startswith(PREFIX) for key in annotations):
        raise UntranslatableError("its annotations have templates, and a Secret has none here; use template: of a file")
    text = text_of(as_object(manifest.get("stringData")), _MAP)
    if not text:
        raise UntranslatableError(f"it has no {_MAP} in stringData; list its records in config")
    parts: list[tuple[str, dict[str, str]]] = []
    for item in read_variables(text):
        if item.is_base64:
            raise UntranslatableError(f"{item.alias} is decoded from base64; store it decoded in Keeper, as a file")
        _put(parts, item)
    common = {
        SecretKeys.AS_SECRET.name: True,
        SecretKeys.SECRET_NAME.name: name,
        SecretKeys.SECRET_MODE.name: "merge",
        **({SecretKeys.SECRET_ROTATION.name: True} if rotates else {}),
    }
    entries = [
        {SecretKeys.RECORD.name: run.titles.of(record), **common, SecretKeys.SECRET_KEYS.name: keys}
        for record, keys in parts
    ]
    return separate(entries, "merge")


def _put(parts: list[tuple[str, dict[str, str]]], item: Variable) -> None:
    for record, keys in parts:
        if record == item.record and item.field not in keys:
            keys[item.field] = item.alias
            return
    parts.append((item.record, {item.field: item.alias}))


TOOL = Tool("cyberark", _wants, (PREFIX,))
