"""Annotations of Infisical's agent injector, and the ConfigMap with the agent's templates.

Sources: https://infisical.com/docs/integrations/platforms/kubernetes-injector,
https://infisical.com/docs/integrations/platforms/infisical-agent and ``pkg/util`` of infisical-agent-injector.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from keeper_injector_common.annotations.config_keys import SecretKeys
from keeper_injector_common.cli.manifests import Entry
from keeper_injector_common.cli.migrate.pods import Pod, entries_by_key, text_of
from keeper_injector_common.cli.migrate.replacements import NO_COUNTERPART, Annotations, replace
from keeper_injector_common.cli.migrate.run import Run
from keeper_injector_common.cli.migrate.titles import Titles
from keeper_injector_common.cli.migrate.vault_k8s import boolean, interval
from keeper_injector_common.cli.migrate.wanted import (
    Origin,
    Setting,
    Tool,
    Unmigrated,
    Wanted,
    WantedEntry,
    merged,
)
from keeper_injector_common.json_values import Json, as_object, as_objects
from keeper_injector_common.parsers import InvalidValue
from keeper_injector_common.yaml_document import load_yaml

PREFIX = "org.infisical.com/"
_RENAMED: Mapping[str, tuple[str, Callable[[str], str]]] = MappingProxyType(
    {
        "inject": ("inject", boolean),
        "agent-limits-cpu": ("agent-limits-cpu", str),
        "agent-limits-memory": ("agent-limits-memory", str),
        "agent-requests-cpu": ("agent-requests-cpu", str),
        "agent-requests-memory": ("agent-requests-memory", str),
        "agent-security-context-run-as-user": ("run-as-user", str),
        "agent-security-context-run-as-group": ("run-as-group", str),
    }
)
_NOT_NEEDED = frozenset({"agent-status", "agent-cache-enabled", "agent-revoke-on-shutdown"})
_DEFAULT_INTERVAL = "5m"

_NAMES = r"\s+\"([^\"]*)\"\s+\"([^\"]*)\"\s+\"([^\"]*)\""
_LIST = re.compile(
    rf"\s*\{{\{{-?\s*(?:with|range)\s+(?:secret|listSecrets|listSecretsByProjectSlug){_NAMES}[^}}]*\}}\}}(.*)\{{\{{-?\s*end\s*-?\}}\}}\s*",
    re.DOTALL,
)
_RANGE = re.compile(r"\s*\{\{-?\s*range\s+\.\s*-?\}\}(.*)\{\{-?\s*end\s*-?\}\}\s*", re.DOTALL)
_LINES = MappingProxyType({"{{.Key}}={{.Value}}": "env", "export{{.Key}}={{.Value}}": "shell"})
"""What a template writes for each secret, without blanks and quotes, and the format that does the same."""
_ONE = re.compile(
    rf"(.*)\{{\{{-?\s*with\s+getSecretByName{_NAMES}\s+\"([^\"]*)\"\s*-?\}}\}}\s*\{{\{{-?\s*\.Value\s*-?\}}\}}\s*\{{\{{-?\s*end\s*-?\}}\}}(.*)",
    re.DOTALL,
)


def _wants(pod: Pod, run: Run) -> Wanted:
    return merged([replace(pod, (PREFIX,), _counterpart), _templates(pod, run)])


def _counterpart(entry: Entry, entries: Mapping[str, Entry]) -> Annotations:
    name = entry.key.removeprefix(PREFIX)
    if name == "inject" and f"{PREFIX}inject-mode" not in entries:
        # The default is an init container.
        is_on = boolean(entry.text) == "true"
        return Annotations({"inject": boolean(entry.text), **({"init-only": "true"} if is_on else {})})
    if name in _RENAMED:
        new, convert = _RENAMED[name]
        return Annotations({new: convert(entry.text)})
    if name == "inject-mode":
        known = {"init": {"init-only": "true"}, "sidecar": {}, "sidecar-init": {}}
        found = known.get(entry.text)
        return Annotations(found or {}, "" if found is not None else f"{entry.text!r} is unknown; use init-only")
    if name in {*_NOT_NEEDED, "agent-config-map"}:
        return Annotations()  # see _templates
    return Annotations(unmigrated=NO_COUNTERPART)


def _templates(pod: Pod, run: Run) -> Wanted:
    """Return the files that the templates of the agent's ConfigMap write."""
    entry = entries_by_key(pod, PREFIX).get("agent-config-map")
    if entry is None or not pod.inherited:
        return Wanted()
    index = next(number for number, item in enumerate(pod.entries) if item is entry)
    found = run.find("ConfigMap", pod.namespace, entry.text)
    text = text_of(as_object(as_object(found or {}).get("data")), "config.yaml")
    try:
        content = as_object(load_yaml(text))
    except InvalidValue as error:
        content, problem = Json(), f"{entry.key}: config.yaml: {error}"
    else:
        problem = (
            f"{entry.key}: the ConfigMap {entry.text} is not in the input, or has no config.yaml; add it to the input"
        )
    if not content:
        # Without it, nothing is known; the annotation is needed to find it.
        return Wanted(remarks=[Unmigrated(entry.position, f"{problem}, and migrate again")])
    label = f"ConfigMap/{entry.text}"
    entries: list[WantedEntry] = []
    remarks = [Unmigrated(entry.position, f"{label}: {message}") for message in _unread(content)]
    intervals: list[str] = []
    for template in as_objects(content.get("templates")):
        path = text_of(template, "destination-path")
        origin = Origin(position=entry.position, label=f"{label}: template of {path or '(no path)'}", index=index)
        made = _entry(template, run.titles)
        config = as_object(template.get("config"))
        intervals.append(str(config.get("polling-interval") or _DEFAULT_INTERVAL))
        if made:
            entries.append(WantedEntry(made, origin))
        else:
            message = "it does more than write all secrets of one path, or one secret; write config with a template"
            remarks.append(Unmigrated(entry.position, f"{origin.label}: {message}"))
        if "execute" in config:
            message = "execute: use signal or notify-url to notify the application"
            remarks.append(Unmigrated(entry.position, f"{origin.label}: {message}"))
    origin = Origin(position=entry.position, label=label, index=index)
    chosen = set(intervals)
    if len(chosen) > 1:
        message = f"polling-interval: a pod has one refresh-interval; choose one of {', '.join(sorted(chosen))}"
        remarks.append(Unmigrated(entry.position, f"{label}: {message}"))
    has_interval = len(chosen) == 1 and chosen != {_DEFAULT_INTERVAL}
    settings = [Setting("refresh-interval", interval(chosen.pop()), origin)] if has_interval else []
    return Wanted(settings=settings, entries=entries, remarks=remarks)


def _unread(content: Json) -> list[str]:
    """Return what else the agent's configuration has, and what to do about it."""
    return [
        f"{key}: no counterpart; remove it" for key in content if key not in {"infisical", "auth", "templates", "cache"}
    ]


def _entry(template: Json, titles: Titles) -> Json | None:
    """Return the entry of ``config`` for a template, or None if it cannot be translated."""
    text = text_of(template, "template-content") or _decoded(text_of(template, "base64-template-content"))
    path = {SecretKeys.PATH.name: text_of(template, "destination-path")}
    if match := _LIST.fullmatch(text):
        *names, body = match.groups()
        inner = _RANGE.fullmatch(body)
        line = re.sub(r"[\s\"']|(?<=\{\{)-|-(?=\}\})", "", inner[1] if inner else body)
        if line not in _LINES:
            return None
        return {SecretKeys.RECORD.name: _title(names, titles), **path, SecretKeys.FORMAT.name: _LINES[line]}
    if match := _ONE.fullmatch(text):
        before, *names, field, after = match.groups()
        if "{{" in before + after or not field.isidentifier():
            return None
        content = f"{before}{{{{ .{field} }}}}{after}"
        return {SecretKeys.RECORD.name: _title(names, titles), **path, SecretKeys.TEMPLATE.name: content}
    return None


def _title(names: list[str], titles: Titles) -> str:
    project, environment, path = names
    return titles.of("/".join(part for part in (project, environment, *path.split("/")) if part))


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeError):
        return ""


TOOL = Tool("infisical", _wants, (PREFIX,))
