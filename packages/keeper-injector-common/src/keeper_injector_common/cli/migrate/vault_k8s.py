"""Annotations of HashiCorp's vault-k8s and their counterparts.

Source: https://developer.hashicorp.com/vault/docs/deploy/kubernetes/injector/annotations.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from keeper_injector_common.cli.manifests import Entry
from keeper_injector_common.cli.migrate.counterparts import Annotations

_PREFIX = "vault.hashicorp.com/"
_RENAMED = MappingProxyType(
    {
        "agent-inject": "inject",
        "agent-inject-containers": "containers",
        "agent-pre-populate-only": "init-only",
        "agent-init-first": "init-first",
        "agent-limits-cpu": "agent-limits-cpu",
        "agent-limits-mem": "agent-limits-memory",
        "agent-requests-cpu": "agent-requests-cpu",
        "agent-requests-mem": "agent-requests-memory",
        "agent-run-as-user": "run-as-user",
        "agent-run-as-group": "run-as-group",
        "log-level": "log-level",
        "template-static-secret-render-interval": "refresh-interval",
    }
)
"""Annotations whose values have the same meaning in both injectors."""
_READ_WITH_SECRET = ("agent-inject-file-", "secret-volume-path")
"""Annotations that :func:`_path_of` reads, and that need no other counterpart."""
_ADVICE = MappingProxyType(
    {
        "agent-inject-template-": "rewrite the template with the Go template functions of template-<name>",
        "agent-inject-command-": "use signal or notify-url to notify the application",
        "agent-inject-perms-": "use file-mode, or mode: in config",
        "role": "not needed, because a KSM configuration identifies the application; remove it",
        "agent-inject-status": "not needed; remove it",
    }
)
"""What to do about annotations without a counterpart, by the beginning of their names."""
_DIRECTORY = "/vault/secrets"
"""The directory in which vault-k8s writes files by default. It is kept, because applications read them there."""


def migrate_annotation(entry: Entry, entries: Mapping[str, Entry]) -> Annotations | None:
    """Return the counterpart of an annotation, or None if it is not one of vault-k8s."""
    if not entry.key.startswith(_PREFIX):
        return None
    name, value = entry.key.removeprefix(_PREFIX), str(entry.value)
    if name in _RENAMED:
        return Annotations({_RENAMED[name]: value})
    if name.startswith("agent-inject-secret-"):
        secret = name.removeprefix("agent-inject-secret-")
        title = value.strip("/").rpartition("/")[2]
        return Annotations(
            {f"secret-{secret}": f"{title}:{_path_of(secret, entries)}"},
            f"check that a record with the title {title!r} exists in Keeper and is shared with the application",
        )
    if name.startswith(_READ_WITH_SECRET):
        return Annotations()
    return Annotations(
        unmigrated=next((text for stem, text in _ADVICE.items() if name.startswith(stem)), "no counterpart; remove it")
    )


def _path_of(secret: str, entries: Mapping[str, Entry]) -> str:
    """Return the path of the file that vault-k8s writes for a secret."""

    def value(name: str) -> str:
        entry = entries.get(_PREFIX + name)
        return str(entry.value) if entry else ""

    directory = value(f"secret-volume-path-{secret}") or value("secret-volume-path") or _DIRECTORY
    return f"{directory.rstrip('/')}/{value(f'agent-inject-file-{secret}') or secret}"
