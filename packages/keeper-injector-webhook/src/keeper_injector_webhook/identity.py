"""As whom the agent runs and which mode its files have, so that the application can read them and others cannot."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs

from keeper_injector_common.request import InjectionRequest
from keeper_injector_webhook.pod import Container, Pod

AGENT_UID = 65532
"""When the application's user is unknown: a number that no image gives to anyone else."""


@attrs.frozen
class Identity:
    """The agent's user and group, and the mode of its files."""

    uid: int
    gid: int
    mode: int
    known: bool = True
    """Whether the agent runs as the user of all applications that receive its files."""

    def security_context(self) -> dict[str, Any]:
        """Return a container's security context that Pod Security ``restricted`` accepts by itself."""
        return {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsGroup": self.gid,
            "runAsNonRoot": True,
            "runAsUser": self.uid,
            "seccompProfile": {"type": "RuntimeDefault"},
        }


def identify(request: InjectionRequest, pod: Pod, receivers: Iterable[Container]) -> Identity:
    """Derive the identity from what the pod says of its containers.

    All receiving containers run as one number: the agent runs as it too, files are 0400. Else, with an ``fsGroup``: 0440,
    as the volume gives the files that group. Else 0444: only the receiving containers mount the volume at all. Root counts
    as unknown, because the agent itself must not run as root; root without capabilities reads 0444 too.
    """
    containers = list(receivers)
    uid = _common(pod, containers, "runAsUser")
    gid = _common(pod, containers, "runAsGroup")
    if uid:
        mode = 0o400
    elif pod.security("fsGroup") is not None:
        mode = 0o440
    else:
        mode = 0o444
    if request.run_as_user is not None and request.run_as_user != uid:
        mode = 0o440 if pod.security("fsGroup") is not None else 0o444
    agent_uid = request.run_as_user or uid or AGENT_UID
    return Identity(
        known=bool(uid) and agent_uid == uid,
        uid=agent_uid,
        gid=request.run_as_group or gid or agent_uid,
        mode=mode if request.file_mode is None else request.file_mode,
    )


def _common(pod: Pod, containers: Iterable[Container], key: str) -> int | None:
    """Return the number that all *containers* have for *key*; None when they differ, or one leaves it to its image."""
    found = set()
    for container in containers:
        value = container.security(key)
        found.add(pod.security(key) if value is None else value)
    value = found.pop() if len(found) == 1 else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None
