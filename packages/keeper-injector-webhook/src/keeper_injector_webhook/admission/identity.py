"""The agent's identity in a pod: derived from its containers, and written as their security context."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from keeper_injector_common.annotations.identity import Identity, derive
from keeper_injector_common.annotations.request import InjectionRequest
from keeper_injector_webhook.admission.pod import Container, Pod


def identify(request: InjectionRequest, pod: Pod, receivers: Iterable[Container]) -> Identity:
    """Derive the identity from what the pod says of the containers that receive files."""
    containers = list(receivers)
    users, groups = ([_effective(pod, item, key) for item in containers] for key in ("runAsUser", "runAsGroup"))
    return derive(request, users, groups, fs_group=pod.security("fsGroup"))


def security_context(identity: Identity) -> dict[str, Any]:
    """Return a container's security context that Pod Security ``restricted`` accepts by itself."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsGroup": identity.gid,
        "runAsNonRoot": True,
        "runAsUser": identity.uid,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _effective(pod: Pod, container: Container, key: str) -> Any:
    """Return a container's own entry, else the pod's."""
    value = container.security(key)
    return pod.security(key) if value is None else value
