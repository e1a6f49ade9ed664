"""The rules that a pod must satisfy to be injected. Each rule is a function from a :class:`Candidate` to problems; pure.

A rule belongs here if the pod would otherwise be created and fail later, where nobody notices, or harm other pods. Rules about one
kind of delivery are beside it: :mod:`.volumes`, :mod:`.environment`, :mod:`.resources`. Warnings are in :mod:`.warnings`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import attrs

from keeper_injector_common.annotations.request import InjectionRequest
from keeper_injector_common.annotations.table import PREFIX
from keeper_injector_common.errors import Problem
from keeper_injector_common.json_values import Json
from keeper_injector_webhook.admission.mounts import problems_of_reserved_names
from keeper_injector_webhook.admission.pod import Pod, list_at, object_at, text_at
from keeper_injector_webhook.admission.windows import is_for_windows


@attrs.frozen
class Candidate:
    """A pod that asks for injection, and what it asks for."""

    request: InjectionRequest
    pod: Pod
    namespace: str


def problems_of_candidate(candidate: Candidate) -> Iterator[Problem]:
    """Yield the problems of every rule that *candidate* breaks."""
    return itertools.chain.from_iterable(rule(candidate) for rule in _RULES)


def _windows(candidate: Candidate) -> Iterator[Problem]:
    if is_for_windows(candidate.pod):
        yield Problem(
            f"{PREFIX}inject", "the pod is for Windows", "the agent runs on Linux only, remove the annotation"
        )


def _reserved_volumes(candidate: Candidate) -> Iterator[Problem]:
    return problems_of_reserved_names(candidate.pod)


def _other_namespace(candidate: Candidate) -> Iterator[Problem]:
    where = f"{PREFIX}k8s-secret-namespace"
    wanted = candidate.pod.annotations.get(where, "").strip()
    if wanted and candidate.namespace and wanted != candidate.namespace:
        right = f"remove it, the Secret goes to {candidate.namespace!r}"
        yield Problem(where, f"{wanted!r} is not the pod's namespace", right)


def _metrics_port(candidate: Candidate) -> Iterator[Problem]:
    """Check the port: the containers of a pod share one network, so the second to open a port fails, agent or application."""
    port = candidate.request.metrics_port
    for container in candidate.pod.containers() if port else ():
        for taken in container.ports:
            if taken.get("containerPort") == port and taken.get("protocol", "TCP") == "TCP":
                found = f"{port} is a port of container {container.name!r}"
                yield Problem(f"{PREFIX}metrics-port", found, "choose another")


def _process_namespace(candidate: Candidate) -> Iterator[Problem]:
    notify = candidate.request.notify
    if not (notify and notify.signal):
        return
    if candidate.pod.spec.get("hostPID"):
        found = "the pod uses the node's process namespace (hostPID), so its containers cannot share another one"
        yield Problem(f"{PREFIX}signal", found, "remove hostPID, or use notify-url")
    if candidate.pod.spec.get("shareProcessNamespace") is False:
        found = "the pod sets shareProcessNamespace: false, and the agent can only signal processes that it shares"
        yield Problem(f"{PREFIX}signal", found, "remove shareProcessNamespace, or use notify-url")


def _mounted_secret(candidate: Candidate) -> Iterator[Problem]:
    """Check Secrets that the agent creates: a container that mounts one starts after it exists, and the agent starts after that."""
    written = {secret.name: secret.where for secret in candidate.request.kubernetes_secrets}
    for volume in candidate.pod.volumes() if written else ():
        for name in _secrets_needed(volume):
            if name in written:
                found = (
                    f"volume {text_at(volume, 'name')!r} mounts Secret {name!r}, which only exists once the pod's agent runs, "
                    "and the pod would wait for it indefinitely"
                )
                right = "write optional: true at the volume, or mount the files instead"
                yield Problem(written[name], found, right)


def _secrets_needed(volume: Json) -> Iterator[str]:
    """Yield the names of the Secrets that must exist before the kubelet mounts *volume*."""
    whole = object_at(volume, "secret")
    if not whole.get("optional"):
        yield text_at(whole, "secretName")
    for source in list_at(object_at(volume, "projected"), "sources"):
        part = object_at(source, "secret")
        if not part.get("optional"):
            yield text_at(part, "name")


_RULES: tuple[Callable[[Candidate], Iterator[Problem]], ...] = (
    _windows,
    _reserved_volumes,
    _other_namespace,
    _metrics_port,
    _process_namespace,
    _mounted_secret,
)
