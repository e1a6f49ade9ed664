"""What a pod asks for and cannot have: each rule is a function from request and pod to problems; pure.

A rule is here when the pod would otherwise be created and fail later, where nobody looks, or harm its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import attrs

from keeper_injector_common.annotations.request import InjectionRequest
from keeper_injector_common.annotations.table import PREFIX
from keeper_injector_common.errors import Problem
from keeper_injector_common.json_values import Json
from keeper_injector_webhook.admission.pod import Pod, list_at, object_at
from keeper_injector_webhook.settings import Settings

VOLUME_PREFIXES = ("keeper-secrets-", "keeper-env-")
VOLUMES = frozenset({"keeper-api", "keeper-ca", "keeper-credentials", "keeper-plan", "keeper-state"})


@attrs.frozen
class Candidate:
    """What the rules look at."""

    request: InjectionRequest
    pod: Pod
    settings: Settings
    namespace: str


def problems(candidate: Candidate) -> list[Problem]:
    """Return everything that stands against the injection; each once."""
    return list(dict.fromkeys(problem for rule in RULES for problem in rule(candidate)))


def _windows(candidate: Candidate) -> Iterator[Problem]:
    if candidate.pod.is_windows:
        yield Problem(
            f"{PREFIX}inject", "the pod is for Windows", "the agent runs on Linux only, remove the annotation"
        )


def _names_of_volumes(candidate: Candidate) -> Iterator[Problem]:
    for name in sorted(candidate.pod.volume_names()):
        if name.startswith(VOLUME_PREFIXES) or name in VOLUMES:
            yield Problem(f"{PREFIX}inject", f"the pod has a volume {name!r} of its own", "rename it")


def _other_namespace(candidate: Candidate) -> Iterator[Problem]:
    where = f"{PREFIX}k8s-secret-namespace"
    wanted = candidate.pod.annotations.get(where, "").strip()
    if wanted and candidate.namespace and wanted != candidate.namespace:
        right = f"remove it, the Secret goes to {candidate.namespace!r}"
        yield Problem(where, f"{wanted!r} is not the pod's namespace", right)


def _metrics_port(candidate: Candidate) -> Iterator[Problem]:
    """Containers of a pod share its network: the second to open a port fails, be it ours or the application."""
    port = candidate.request.metrics_port
    for container in candidate.pod.containers() if port else ():
        for taken in container.ports:
            if taken.get("containerPort") == port and taken.get("protocol", "TCP") == "TCP":
                yield Problem(
                    f"{PREFIX}metrics-port", f"{port} is a port of container {container.name!r}", "choose another"
                )


def _process_namespace(candidate: Candidate) -> Iterator[Problem]:
    notify = candidate.request.notify
    if notify and notify.signal and candidate.pod.spec.get("hostPID"):
        found = "the pod uses the node's processes (hostPID), which excludes a shared process namespace of its own"
        yield Problem(f"{PREFIX}signal", found, "remove hostPID, or use notify-url")


def _mounted_secret(candidate: Candidate) -> Iterator[Problem]:
    """The kubelet mounts volumes before it starts the agent, which is to write the Secret: it would wait for ever."""
    written = {secret.name: secret.where for secret in candidate.request.kubernetes_secrets}
    for volume in candidate.pod.volumes() if written else ():
        for name in _secrets_needed(volume):
            if name in written:
                yield Problem(
                    written[name],
                    f"volume {volume.get('name')!r} mounts Secret {name!r}, which only exists once the pod's agent runs, "
                    "and the pod would wait for ever",
                    "write optional: true at the volume, or mount the files instead",
                )


def _secrets_needed(volume: Json) -> Iterator[str]:
    """Iterate over the names of Secrets without which the volume is not mounted."""
    whole = object_at(volume, "secret")
    if not whole.get("optional"):
        yield str(whole.get("secretName"))
    for source in list_at(object_at(volume, "projected"), "sources"):
        part = object_at(source, "secret")
        if not part.get("optional"):
            yield str(part.get("name"))


RULES: tuple[Callable[[Candidate], Iterator[Problem]], ...] = (
    _windows,
    _names_of_volumes,
    _other_namespace,
    _metrics_port,
    _process_namespace,
    _mounted_secret,
)
