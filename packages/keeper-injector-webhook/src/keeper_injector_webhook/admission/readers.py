"""Warns of files that a container cannot read, because their mode excludes the user that it runs as."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from keeper_injector_common.annotations.identity import Identity
from keeper_injector_common.annotations.request import InjectionRequest, SecretFile
from keeper_injector_common.annotations.table import PREFIX
from keeper_injector_common.errors import Problem, Severity
from keeper_injector_webhook.admission.identity import effective
from keeper_injector_webhook.admission.pod import Container, Pod
from keeper_injector_webhook.admission.volumes import Volume


def warnings_of_readers(
    request: InjectionRequest, pod: Pod, identity: Identity, volumes: Sequence[Volume]
) -> Iterator[Problem]:
    """Yield each annotation that sets a mode with which some container may be unable to read a file."""
    reported: set[str] = set()
    for volume in volumes:
        modes: dict[int, str] = {}
        for item in volume.items:
            own = item.mode if isinstance(item, SecretFile) else None
            modes.setdefault(*(identity.mode, f"{PREFIX}file-mode") if own is None else (own, item.where))
        for mode, where in modes.items():
            if mode & 0o004:
                continue
            for container in volume.containers:
                if where not in reported and not _can_read(request, pod, container, mode, identity):
                    reported.add(where)
                    yield Problem(
                        where,
                        f"mode {mode:04o} is for user {identity.uid} and group {identity.gid}, and container "
                        f"{container.name!r} may run as another",
                        "set runAsUser or fsGroup in the pod, or leave out the mode",
                        Severity.WARNING,
                    )


def _can_read(request: InjectionRequest, pod: Pod, container: Container, mode: int, identity: Identity) -> bool:
    """Return whether the container's user can read a file of the agent with *mode*, which is not for everyone. Root can read any.

    If the pod does not set the container's user, only the image does. A pod that sets ``run-as-user`` or ``run-as-group`` for the
    agent is assumed to name that user.
    """
    user, group = (effective(pod, container, key) for key in ("runAsUser", "runAsGroup"))
    user = request.run_as_user if user is None else user
    group = request.run_as_group if group is None else group
    if user == 0 or (user == identity.uid and mode & 0o400):
        return True
    more = pod.security("supplementalGroups")
    groups = [group, *(more if isinstance(more, list) else ())]
    # The kubelet gives the volume the group fsGroup, and each container too.
    return bool(mode & 0o040) and (pod.security("fsGroup") is not None or identity.gid in groups)
