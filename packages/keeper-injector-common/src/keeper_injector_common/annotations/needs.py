"""Annotations that mean something only together with another one, and the warning about those that are set without it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from keeper_injector_common.annotations.table import BY_NAME, PREFIX
from keeper_injector_common.plan.credentials import AwsCredentials, AzureCredentials, GcpCredentials

if TYPE_CHECKING:
    from keeper_injector_common.annotations.reader import Reader

_SIDECAR = ("init-only=false",)
_RESTART = ("on-change=restart", "on-change=restart-all")
_SECRET = ("inject-as-k8s-secret=true",)
NEEDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "ksm-config": ("auth-method=secret",),
        "aws-secret-id": (f"auth-method={AwsCredentials.method}",),
        "aws-region": (f"auth-method={AwsCredentials.method}",),
        "gcp-secret-id": (f"auth-method={GcpCredentials.method}",),
        "azure-vault-name": (f"auth-method={AzureCredentials.method}",),
        "azure-secret-name": (f"auth-method={AzureCredentials.method}",),
        "ca-cert-key": ("ca-cert-secret", "ca-cert-configmap"),
        "proxy-secret-key": ("proxy-secret",),
        "folder-output-path": ("folder", "folder-uid"),
        "folder-recursive": ("folder", "folder-uid"),
        "refresh-interval": _SIDECAR,
        "signal": _SIDECAR,
        "notify-url": _SIDECAR,
        "metrics-port": _SIDECAR,
        "notify-spread": ("signal", "notify-url"),
        "restart-spread": _RESTART,
        "restart-min-interval": _RESTART,
        "env-prefix": ("inject-env-vars=true",),
        "env-prefix-<name>": ("inject-env-vars=true",),
        "env-mode": ("inject-env-vars=true", "env-<NAME>", "config"),
        "k8s-secret-name": _SECRET,
        "k8s-secret-namespace": _SECRET,
        "k8s-secret-mode": _SECRET,
        "k8s-secret-type": _SECRET,
        "k8s-secret-rotation": _SECRET,
        "k8s-secret-owner-ref": _SECRET,
    }
)
"""Annotation → what has to be set as well: one of these annotations, or one of these values (``NAME=VALUE``)."""


def warn_of_unused(reader: Reader) -> None:
    """Warn of every annotation of the pod that has no effect, because none of what it needs is set."""
    for name, needed in NEEDS.items():
        keys = [member.key for member in reader.family(name.partition("<")[0])] if "<" in name else reader.keys_of(name)
        if not keys or any(_is_met(reader, condition) for condition in needed):
            continue
        found, right = _described(needed)
        for key in keys:
            reader.warn(key, found, right)


def _is_met(reader: Reader, condition: str) -> bool:
    name, _, value = condition.partition("=")
    if "<" in name:
        return bool(reader.family(name.partition("<")[0]))
    return bool(reader.get(name) == BY_NAME[name].parse(value)) if value else name in reader


def _described(needed: tuple[str, ...]) -> tuple[str, str]:
    """Return what was found and what to do about it."""
    name, _, value = needed[0].partition("=")
    if value and value == BY_NAME[name].default:
        return (
            f"has no effect, because {PREFIX}{name} is set to another value",
            f'write "{value}" there, or remove this',
        )
    parts = []
    for condition in needed:
        other, _, wanted = condition.partition("=")
        parts.append(f'{PREFIX}{other}: "{wanted}"' if wanted else f"{PREFIX}{other}")
    return f"has no effect without {' or '.join(parts)}", "add that, or remove this"
