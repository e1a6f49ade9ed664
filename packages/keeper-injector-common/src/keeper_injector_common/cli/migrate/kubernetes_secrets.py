"""Plain Kubernetes Secrets: what pods read from them, they take from records of the same titles.

Only ``--from secrets`` migrates them, because other Secrets, such as those of operators, have to stay.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from keeper_injector_common.annotations.config_keys import SecretKeys
from keeper_injector_common.cli.migrate.pods import Item, Pod, text_of
from keeper_injector_common.cli.migrate.run import Run
from keeper_injector_common.cli.migrate.secret_documents import metadata_of
from keeper_injector_common.cli.migrate.secret_users import mounted, variables_from
from keeper_injector_common.cli.migrate.titles import escaped
from keeper_injector_common.cli.migrate.wanted import (
    Document,
    Origin,
    Removal,
    Tool,
    Unmigrated,
    Wanted,
    WantedEntry,
    WantedVariable,
    reference,
)
from keeper_injector_common.json_values import Json, as_object, as_objects

_SETTINGS = ("ksm-config", "auth-secret", "ca-cert-secret", "proxy-secret")
"""Annotations that name Secrets of the injector itself, which have to stay."""
_STAYING_TYPES = frozenset(
    {"kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token", "helm.sh/release.v1"}
)


def _wants(pod: Pod, run: Run) -> Wanted:
    if not pod.template:
        return Wanted()
    own = {pod.texts.get(f"keeper.security/{name}", "") for name in _SETTINGS} | {"keeper-credentials"}
    users = _Users(pod, run, frozenset(own))
    variables = tuple(users.variables())
    entries = (*users.whole_secrets(), *users.files())
    run.used |= {(f"Secret/{name}", pod.namespace) for name in (*variables_from(pod), *mounted(pod)) if name}
    return Wanted(variables=variables, entries=entries, remarks=users.remarks)


@attrs.define
class _Users:
    """Where a pod reads Secrets."""

    pod: Pod
    run: Run
    own: frozenset[str]
    remarks: list[Unmigrated] = attrs.field(factory=list)

    def variables(self) -> Iterator[WantedVariable]:
        """Iterate over the variables with ``secretKeyRef``."""
        for container in self.pod.containers():
            for item in container.items("env"):
                source = as_object(as_object(item.content.get("valueFrom")).get("secretKeyRef"))
                name, key = text_of(source, "name"), text_of(source, "key")
                if not name or not self._migrates(name):
                    continue
                if str(source.get("optional")).lower() == "true":
                    self._remark(
                        item, f"{item.name}: it was optional; fail-on-error: false lets the pod start without it"
                    )
                origin = Origin(position=item.position, label=item.name, removals=(Removal.of(item),))
                yield WantedVariable(item.name, reference(escaped(name), key), origin, container.name)

    def whole_secrets(self) -> Iterator[WantedEntry]:
        """Iterate over the Secrets whose keys all become variables."""
        for container in self.pod.containers():
            for item in container.items("envFrom"):
                name, prefix = text_of(item.content, "secretRef", "name"), text_of(item.content, "prefix")
                if not name or not self._migrates(name):
                    continue
                keys = self._keys_of(name)
                content: Json = {SecretKeys.RECORD.name: escaped(name), SecretKeys.AS_VARIABLES.name: True}
                content |= {SecretKeys.FIELDS.name: keys} if keys else {}
                content |= {SecretKeys.PREFIX.name: prefix} if prefix else {}
                content[SecretKeys.CONTAINERS.name] = [container.name]
                if not keys:
                    advice = "list them in fields:, or add the Secret to the input, and migrate again"
                    self._remark(item, f"envFrom: the keys of Secret {name} are unknown; {advice}")
                self._remark(
                    item, f"envFrom: check the names of the variables of record {name}, which are in capital letters"
                )
                origin = Origin(position=item.position, label=f"envFrom of Secret {name}", removals=(Removal.of(item),))
                yield WantedEntry(content, origin)

    def files(self) -> Iterator[WantedEntry]:
        """Iterate over the files of mounted Secrets."""
        mounts = [(box, mount) for box in self.pod.containers() for mount in box.items("volumeMounts")]
        for volume in self.pod.volumes():
            secret = as_object(volume.content.get("secret"))
            name = text_of(secret, "secretName")
            for source in as_objects(as_object(volume.content.get("projected")).get("sources")):
                if other := text_of(source, "secret", "name"):
                    advice = "write config with a path for each key, and remove the source"
                    self._remark(volume, f"volume {volume.name}: a projected volume with Secret {other}; {advice}")
            if not name or not self._migrates(name):
                continue
            items = {text_of(item, "key"): text_of(item, "path") for item in as_objects(secret.get("items"))}
            files = items or {key: key for key in self._keys_of(name)}
            own = [(container, mount) for container, mount in mounts if mount.name == volume.name]
            if not files or not own:
                advice = "add the Secret to the input, or list its keys in items:, and migrate again"
                self._remark(volume, f"volume {volume.name}: the keys of Secret {name} are unknown; {advice}")
                continue
            removals = (Removal.of(volume), *(Removal.of(mount) for _, mount in own))
            origin = Origin(position=volume.position, label=f"volume {volume.name}", removals=removals)
            yield from self._of_mounts(name, files, own, text_of(secret, "defaultMode"), origin)

    def _of_mounts(
        self, name: str, files: dict[str, str], own: list[tuple[Item, Item]], mode: str, origin: Origin
    ) -> Iterator[WantedEntry]:
        places: dict[tuple[str, str], list[str]] = {}
        for container, mount in own:
            directory, part = text_of(mount.content, "mountPath").rstrip("/"), text_of(mount.content, "subPath")
            for key, path in files.items():
                if not part:
                    places.setdefault((key, f"{directory}/{path}"), []).append(container.name)
                elif part == path:
                    places.setdefault((key, directory), []).append(container.name)
        names = [container.name for container in self.pod.containers()]
        for (key, path), receivers in places.items():
            content: Json = {SecretKeys.RECORD.name: reference(escaped(name), key), SecretKeys.PATH.name: path}
            content |= {SecretKeys.MODE.name: permissions} if (permissions := _mode(mode)) else {}
            content |= {SecretKeys.CONTAINERS.name: receivers} if set(receivers) != set(names) else {}
            yield WantedEntry(content, origin)

    def _migrates(self, name: str) -> bool:
        found = self.run.find("Secret", self.pod.namespace, name)
        return name not in self.own and str((found or {}).get("type")) not in _STAYING_TYPES

    def _keys_of(self, name: str) -> list[str]:
        found = self.run.find("Secret", self.pod.namespace, name)
        return _keys(found) if found else []

    def _remark(self, item: Item, message: str) -> None:
        self.remarks.append(Unmigrated(item.position, message))


def _mode(text: str) -> str:
    """Return the mode of a file, which YAML and JSON may have as a decimal number; empty for the default."""
    if not text.isdecimal():
        return ""
    number = int(text, 8) if text.startswith("0") and not set(text) & {"8", "9"} else int(text)
    return f"0{number:03o}" if 0 < number <= 0o777 else ""


def _keys(manifest: Json) -> list[str]:
    return sorted({str(key) for part in ("data", "stringData") for key in as_object(manifest.get(part))})


def _migrate_object(manifest: Json, run: Run) -> Document | None:
    """Return what record takes the place of a Secret; its values are never read."""
    name, namespace = metadata_of(manifest)
    label = f"Secret/{name}"
    if manifest.get("kind") != "Secret" or not {(label, namespace), (label, "")} & run.used:
        return None
    keys = ", ".join(_keys(manifest)) or "its keys"
    message = (
        f"create a record with the title {name!r} and the fields {keys}, and delete the Secret when no pod uses it"
    )
    return Document("", (f"{label}: {message}",))


TOOL = Tool("secrets", _wants, migrate_object=_migrate_object, by_default=False)
