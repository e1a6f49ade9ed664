"""Derives the agent's identity in a pod from the pod's containers, and writes it as a security context."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from keeper_injector_common.annotations.identity import Identity, derive
from keeper_injector_common.annotations.request import InjectionRequest
from keeper_injector_webhook.admission.meshes import is_native_sidecar
from keeper_injector_webhook.admission.pod import Container, Pod


def identify(request: InjectionRequest, pod: Pod, receivers: Iterable[Container]) -> Identity:
    """Return the identity of the agent, given the security contexts of the *receivers* of secrets."""
    staying: list[Container] = []
    ending: list[Container] = []
    for container in receivers:
        ends = container.kind == "initContainers" and not is_native_sidecar(container)
        (ending if ends else staying).append(container)
    if not staying:
        staying, ending = ending, []
    users, groups = _effective_of_all(pod, staying, "runAsUser"), _effective_of_all(pod, staying, "runAsGroup")
    earlier = _effective_of_all(pod, ending, "runAsUser")
    return derive(request, users, groups, fs_group=pod.security("fsGroup"), earlier_users=earlier)


def security_context(identity: Identity) -> dict[str, Any]:
    """Return the security context of the agent's containers. It satisfies the Pod Security level ``restricted``."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsGroup": identity.gid,
        "runAsNonRoot": True,
        "runAsUser": identity.uid,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def effective(pod: Pod, container: Container, key: str) -> Any:
    """Return an entry of the container's security context, or of the pod's if the container does not set it."""
    return _effective_of_all(pod, [container], key)[0]


def _effective_of_all(pod: Pod, containers: Sequence[Container], key: str) -> list[Any]:
    of_pod = pod.security(key)
    return [of_pod if (value := container.security(key)) is None else value for container in containers]
