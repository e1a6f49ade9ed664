"""Environment values and annotations of Bank-Vaults' secrets webhook.

Sources: https://bank-vaults.dev/docs/mutating-webhook/annotations/ and ``pkg/common/common.go`` of vault-secrets-webhook.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from keeper_injector_common.annotations.config_keys import SecretKeys
from keeper_injector_common.cli.manifests import Entry
from keeper_injector_common.cli.migrate.pods import Item, Pod, text_of
from keeper_injector_common.cli.migrate.replacements import Annotations, replace, text_for
from keeper_injector_common.cli.migrate.run import Run
from keeper_injector_common.cli.migrate.secret_documents import metadata_of
from keeper_injector_common.cli.migrate.vault_k8s import boolean, level
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

PREFIXES = ("vault.security.banzaicloud.io/", "secrets-webhook.security.bank-vaults.io/")
_VALUE = re.compile(r"vault:([^#]+)#(?:\$\{\s*\.([A-Za-z_]\w*)\s*\}|([^#${}|]+))(?:#(.+))?", re.ASCII)
"""``vault:PATH#KEY[#VERSION]``, or a template in place of the key that only inserts one."""
_MENTION = re.compile(r"^(?:>>)?vault:|\$\{(?:>>)?vault:")
_NOT_NEEDED = "it configures Vault or its webhook"
_ADVICE = MappingProxyType(
    {
        "vault-agent-configmap": "migrate the templates of the ConfigMap to record-<handle> and template-<handle>",
        "vault-ct-configmap": "migrate the templates of the ConfigMap to record-<handle> and template-<handle>",
        "vault-configfile-path": "migrate the templates to record-<handle> and template-<handle>",
        "mutate-probes": "variables of probes are not injected; let the probe read a file",
        "transit-": "no counterpart; store the value itself in Keeper",
    }
)
"""What to do about annotations that are more than settings of the webhook or of Vault, by the beginning of their names."""


def _wants(pod: Pod, run: Run) -> Wanted:
    return merged([replace(pod, PREFIXES, _counterpart), _of_path(pod, run), _variables(pod, run)])


def _short(key: str) -> str:
    return key.rpartition("/")[2]


def _counterpart(entry: Entry, _entries: Mapping[str, Entry]) -> Annotations | None:
    name, text = _short(entry.key), entry.text
    match name:
        case "log-level":
            return Annotations({"log-level": level(text)})
        case "run-as-user" | "run-as-group":
            return Annotations({name: text})
        case "vault-ignore-missing-secrets":
            return Annotations({"fail-on-error": "false"} if boolean(text) == "true" else {})
        case "mutate":
            return Annotations({"inject": "false"} if text == "skip" else {})
        case "vault-env-from-path" | "vault-from-path":
            return Annotations()  # see _of_path
        case _:
            advice = text_for(name, _ADVICE)
            return Annotations(unmigrated=advice) if advice else Annotations(not_needed=_NOT_NEEDED)


def _of_path(pod: Pod, run: Run) -> Wanted:
    """Return the variables of whole secrets."""
    found: list[Wanted] = []
    for index, entry in enumerate(pod.entries):
        if not entry.key.startswith(PREFIXES) or _short(entry.key) not in {"vault-env-from-path", "vault-from-path"}:
            continue
        origin = Origin(position=entry.position, label=entry.key, index=index)
        paths = [path.partition("#")[0].strip() for path in entry.text.split(",")]
        entries = [
            {SecretKeys.RECORD.name: run.titles.of(path), SecretKeys.AS_VARIABLES.name: True} for path in paths if path
        ]
        advice = "check that the fields of the record have the names of the variables, and list other fields than Keeper's in fields:"
        found.append(
            Wanted(
                entries=[WantedEntry(content, origin) for content in entries],
                remarks=[Unmigrated(entry.position, f"{entry.key}: {advice}")],
            )
        )
    return merged(found)


def _variables(pod: Pod, run: Run) -> Wanted:
    variables: list[WantedVariable] = []
    remarks: list[Unmigrated] = []
    for container in pod.containers():
        for item in container.items("env"):
            value = text_of(item.content, "value") or _referred(pod, item, run)
            if not _MENTION.search(value):
                continue
            origin = Origin(position=item.position, label=item.name, removals=(Removal.of(item),))
            if (match := _VALUE.fullmatch(value)) is None:
                remarks.append(Unmigrated(item.position, f"{item.name}: {_advice(value, item.name)}"))
                continue
            path, inserted, key, version = match.groups()
            if version:
                found = f"{item.name}: version {version} has no counterpart; Keeper returns the current value"
                remarks.append(Unmigrated(item.position, found))
            variables.append(
                WantedVariable(item.name, reference(run.titles.of(path), inserted or key), origin, container.name)
            )
        remarks += _whole_objects(pod, container, run)
    return Wanted(variables=variables, remarks=remarks)


def _advice(value: str, name: str) -> str:
    if value.startswith(">>"):
        return "it makes Vault create a secret; create the record in Keeper, and write env-NAME".replace("NAME", name)
    return "a template or several secrets in one value; write a file with a template"


def _referred(pod: Pod, item: Item, run: Run) -> str:
    """Return the value of a variable that is in a ConfigMap or Secret of the input."""
    for kind, key in (("ConfigMap", "configMapKeyRef"), ("Secret", "secretKeyRef")):
        name = text_of(item.content, "valueFrom", key, "name")
        found = run.find(kind, pod.namespace, name) if name else None
        if found:
            return _values(found).get(text_of(item.content, "valueFrom", key, "key"), "")
    return ""


def _whole_objects(pod: Pod, container: Item, run: Run) -> Iterator[Unmigrated]:
    """Iterate over the ConfigMaps and Secrets whose keys all become variables, and that refer to Vault."""
    for item in container.items("envFrom"):
        for kind, key in (("ConfigMap", "configMapRef"), ("Secret", "secretRef")):
            name = text_of(item.content, key, "name")
            found = run.find(kind, pod.namespace, name) if name else None
            keys = [key for key, value in _values(found or {}).items() if _MENTION.search(value)]
            if keys:
                message = (
                    f"{kind}/{name}: {', '.join(keys)}: write env-NAME on this pod for each, and remove them there"
                )
                yield Unmigrated(item.position, message)


def _values(manifest: Json) -> dict[str, str]:
    """Return the texts of a ConfigMap or Secret by key."""
    found = {}
    for key, value in {**as_object(manifest.get("data")), **as_object(manifest.get("stringData"))}.items():
        text = str(value)
        if manifest.get("kind") == "Secret" and key not in as_object(manifest.get("stringData")):
            try:
                text = base64.b64decode(text, validate=True).decode()
            except (binascii.Error, UnicodeError, ValueError):
                continue
        found[str(key)] = text
    return found


def _migrate_object(manifest: Json, _run: Run) -> Document | None:
    if str(manifest.get("kind")) not in {"ConfigMap", "Secret"}:
        return None
    keys = [key for key, value in _values(manifest).items() if _MENTION.search(value)]
    if not keys:
        return None
    label = f"{manifest['kind']}/{metadata_of(manifest)[0]}"
    return Document("", (f"{label}: {', '.join(keys)}: references to Vault; remove them when no pod uses them",))


TOOL = Tool("bank-vaults", _wants, PREFIXES, _migrate_object)
