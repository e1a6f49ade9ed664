"""Annotations of HashiCorp's vault-k8s and their counterparts.

Source: https://developer.hashicorp.com/vault/docs/deploy/kubernetes/injector/annotations, and
``agent-inject/agent/annotations.go`` of vault-k8s.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from keeper_injector_common.cli.manifests import Entry
from keeper_injector_common.cli.migrate import vault_templates
from keeper_injector_common.cli.migrate.pods import Pod
from keeper_injector_common.cli.migrate.replacements import IDENTITY, NO_COUNTERPART, Annotations, replace, text_for
from keeper_injector_common.cli.migrate.run import Run
from keeper_injector_common.cli.migrate.titles import Titles
from keeper_injector_common.cli.migrate.wanted import Tool, Wanted

PREFIX = "vault.hashicorp.com/"
_DIRECTORY = "/vault/secrets"
"""The directory in which vault-k8s writes files by default. It is kept, because applications read them there."""
_SECRET, _TEMPLATE, _FILE, _PERMS = (f"agent-inject-{word}-" for word in ("secret", "template", "file", "perms"))
_READ_WITH_SECRET = (_FILE, "secret-volume-path", "preserve-secret-case")
"""Annotations that :func:`_path_of` reads, and that need no other counterpart."""
_ADVICE = MappingProxyType(
    {
        "agent-inject-template-file-": "no templates from files of the pod; write the template as template-<name>",
        "agent-inject-command-": "use signal or notify-url to notify the application",
        _PERMS: "the modes differ, or some files have none; use mode: in config",
        "agent-configmap": "migrate the templates of the ConfigMap to record-<handle> and template-<handle>",
    }
)
"""What to do about annotations without a counterpart, by the beginning of their names."""
_CONNECTION = "it is about the connection to Vault"
_NOT_NEEDED: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("role", "auth-", "agent-inject-token", "agent-service-account-token-"), IDENTITY),
        **dict.fromkeys(("service", "namespace", "tls-", "ca-", "client-"), _CONNECTION),
        **dict.fromkeys(("agent-disable-", "template-max-connections-per-host"), _CONNECTION),
        **dict.fromkeys(("agent-cache-", "agent-auto-auth-", "agent-revoke-"), "it is about tokens of Vault"),
        "agent-inject-status": "vault-k8s sets it itself",
        "log-format": "the agent logs JSON",
    }
)
"""Why annotations are not needed, by the beginning of their names."""


def boolean(text: str) -> str:
    """Return a switch as Keeper Injector has it. Go's ``strconv.ParseBool`` accepts ``t`` and ``f`` too."""
    return {"t": "true", "f": "false"}.get(text.strip().lower(), text)


def _amount(text: str) -> str:
    """An empty amount of CPU or memory removes it."""
    return text if text.strip() else "none"


def level(text: str) -> str:
    """Return the name of a log level as Keeper Injector has it."""
    return {"trace": "debug", "warn": "warning", "err": "error"}.get(text.strip().lower(), text)


_UNITS = MappingProxyType({"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001})
_GO_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|h|m|s))+", re.ASCII)
_LONGEST, _SHORTEST = 7 * 24 * 3600, 10


def interval(text: str) -> str:
    """Return a duration of Go, or a number of seconds, as a refresh interval within its limits."""
    text = f"{text.strip()}s" if text.strip().isdecimal() else text.strip()
    if not _GO_DURATION.fullmatch(text):
        return text
    seconds = sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"([\d.]+)(ms|h|m|s)", text))
    if _SHORTEST <= seconds <= _LONGEST and "." not in text and "ms" not in text:
        return text
    return f"{int(min(max(seconds, _SHORTEST), _LONGEST))}s"


_RENAMED: Mapping[str, tuple[str, Callable[[str], str]]] = MappingProxyType(
    {
        "agent-inject": ("inject", boolean),
        "agent-inject-containers": ("containers", str),
        "agent-pre-populate-only": ("init-only", boolean),
        "agent-init-first": ("init-first", boolean),
        "agent-limits-cpu": ("agent-limits-cpu", _amount),
        "agent-limits-mem": ("agent-limits-memory", _amount),
        "agent-requests-cpu": ("agent-requests-cpu", _amount),
        "agent-requests-mem": ("agent-requests-memory", _amount),
        "agent-run-as-user": ("run-as-user", str),
        "agent-run-as-group": ("run-as-group", str),
        "log-level": ("log-level", level),
        "template-static-secret-render-interval": ("refresh-interval", interval),
    }
)
"""Annotations with a counterpart, and how the value is written there."""


def _wants(pod: Pod, run: Run) -> Wanted:
    return replace(pod, (PREFIX,), lambda entry, entries: _counterpart(entry, entries, run.titles))


TOOL = Tool("vault-k8s", _wants, (PREFIX,))


def _counterpart(entry: Entry, entries: Mapping[str, Entry], titles: Titles) -> Annotations:
    """Return the counterpart of an annotation."""
    name = entry.key.removeprefix(PREFIX)
    if name in _RENAMED:
        return _renamed(name, entry.text)
    if name.startswith(_SECRET):
        return _secret(name.removeprefix(_SECRET), entry.text, entries, titles)
    if name.startswith(_TEMPLATE) and not name.startswith(f"{_TEMPLATE}file-"):
        return _template(name.removeprefix(_TEMPLATE), entry.text, entries, titles)
    if name.startswith(_PERMS) and (mode := _common_mode(entry, entries)) is not None:
        return Annotations({"file-mode": mode} if mode else {})
    if name.startswith(_READ_WITH_SECRET):
        return Annotations()
    if why := text_for(name, _NOT_NEEDED):
        return Annotations(not_needed=why)
    return Annotations(unmigrated=text_for(name, _ADVICE) or NO_COUNTERPART)


def _renamed(name: str, text: str) -> Annotations:
    new, convert = _RENAMED[name]
    value = convert(text)
    changed = new == "refresh-interval" and value not in {text.strip(), f"{text.strip()}s"}
    return Annotations({new: value}, f"{text!r} became {value}, as refresh-interval needs it" if changed else "")


def _secret(name: str, path: str, entries: Mapping[str, Entry], titles: Titles) -> Annotations:
    template = _value(f"{_TEMPLATE}{name}", entries)
    if not path.strip() or len(vault_templates.secrets_in(template)) == 1:
        # The template says what is read; vault-k8s ignores the path then.
        return (
            Annotations()
            if template
            else Annotations(
                unmigrated="no path of a secret, and removed; write one and migrate again, if a file is missing"
            )
        )
    title = titles.of(path)
    return Annotations({f"record-{name}": f"{title}:{_path_of(name, entries)}"}, _check(title))


def _template(name: str, template: str, entries: Mapping[str, Entry], titles: Titles) -> Annotations:
    rewrite = f"rewrite the template with the Go template functions of template-{name}"
    if not template.strip():
        return Annotations()
    paths = vault_templates.secrets_in(template)
    if len(paths) != 1:
        several = f"it reads {len(paths)} secrets; list them in records: of config, and " if paths else ""
        return Annotations(unmigrated=several + rewrite)
    title = titles.of(paths[0])
    secret = {f"record-{name}": f"{title}:{_path_of(name, entries)}"}
    is_default = not any(_value(f"agent-template-{side}-delim-{name}", entries) for side in ("left", "right"))
    if is_default and (translated := vault_templates.translate(template)):
        text, fields = translated
        return Annotations(
            {**secret, f"template-{name}": text}, f"{_check(title)}, with {', '.join(fields) or 'any'} as fields"
        )
    return Annotations(secret, f"{rewrite}; {_check(title)}")


def _check(title: str) -> str:
    return f"check that a record with the title {title!r} exists in Keeper and is shared with the application"


def _common_mode(entry: Entry, entries: Mapping[str, Entry]) -> str | None:
    """Return the mode of all files, at the first of the annotations that set it; empty at the others.

    Returns None if the files have different modes.
    """
    secrets = {name.removeprefix(f"{PREFIX}{_SECRET}") for name in entries if name.startswith(f"{PREFIX}{_SECRET}")}
    modes = {
        name.removeprefix(f"{PREFIX}{_PERMS}"): found.text
        for name, found in entries.items()
        if name.startswith(f"{PREFIX}{_PERMS}")
    }
    if len(set(modes.values())) != 1 or not secrets <= set(modes):
        return None
    return entry.text if entry.key == f"{PREFIX}{_PERMS}{next(iter(modes))}" else ""


def _value(name: str, entries: Mapping[str, Entry]) -> str:
    entry = entries.get(PREFIX + name)
    return entry.text if entry else ""


def _path_of(secret: str, entries: Mapping[str, Entry]) -> str:
    """Return the path of the file that vault-k8s writes for a secret."""
    directory = _value(f"secret-volume-path-{secret}", entries) or _value("secret-volume-path", entries) or _DIRECTORY
    keep = _value(f"preserve-secret-case-{secret}", entries) or _value("preserve-secret-case", entries)
    name = secret if boolean(keep) in {"true", "1"} else secret.lower()
    return f"{directory.rstrip('/')}/{_value(f'{_FILE}{secret}', entries) or name}"
