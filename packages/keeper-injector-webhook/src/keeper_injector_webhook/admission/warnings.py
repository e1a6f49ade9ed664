"""The warnings that ``kubectl`` shows: the pod is created, but it may not behave as its author expects; pure."""

from __future__ import annotations

from collections.abc import Iterator

from keeper_injector_common.annotations.identity import Identity
from keeper_injector_common.annotations.request import InjectionRequest
from keeper_injector_common.annotations.table import BY_NAME, PREFIX
from keeper_injector_common.errors import Problem, Severity
from keeper_injector_common.json_values import Json
from keeper_injector_common.references import FileContent
from keeper_injector_webhook.admission.pod import Pod
from keeper_injector_webhook.admission.resources import amount, is_guaranteed, keeps_guaranteed
from keeper_injector_webhook.admission.rules import Candidate

_AGENT_MEMORY = 64 * 1024 * 1024
"""Bytes that a refresh needs besides the files (bench_agent). Files in memory volumes count as the agent's memory too."""
_ATTACHMENTS = 0.5
"""How much of a volume's size a refresh needs besides the volume, if attachments fill it. An attachment is in the worker's memory once, and
half of a volume is left for files, because the old ones stay until the new ones are complete. Measured with 25 MiB: 50 MiB more than
without it in the init container, 75 MiB more in a sidecar that replaces it."""
_DEFAULT_VOLUME_SIZE: int = BY_NAME["volume-size"].default_value
"""Bytes; a volume of this size fits into the memory limit that the chart sets."""


def warnings_for(candidate: Candidate, identity: Identity, resources: Json) -> Iterator[Problem]:
    """Yield problems of severity ``WARNING``, given the *identity* and the *resources* that the agent will have."""
    yield from _job(candidate)
    yield from _network_of_the_node(candidate)
    yield from _signal(candidate.request, identity)
    yield from _quality_of_service(candidate.pod, resources)
    yield from _memory(candidate.request, resources)


def _job(candidate: Candidate) -> Iterator[Problem]:
    """Check pods that should end: an ordinary container that never ends keeps a Job, or such a pod, running."""
    ends = candidate.pod.owner.startswith("Job/") or candidate.pod.spec.get("restartPolicy") in {"Never", "OnFailure"}
    if ends and candidate.request.sidecar == "classic" and not candidate.request.init_only:
        found = "a classic sidecar never ends, so this pod will not end either"
        yield _warning("sidecar", found, f'add {PREFIX}init-only: "true"')


def _network_of_the_node(candidate: Candidate) -> Iterator[Problem]:
    if candidate.request.metrics_port and candidate.pod.spec.get("hostNetwork"):
        yield _warning(
            "metrics-port",
            "the pod uses the node's network, where only one process can have port "
            f"{candidate.request.metrics_port}, and anyone who can reach the node can read the metrics",
        )


def _signal(request: InjectionRequest, identity: Identity) -> Iterator[Problem]:
    """Check the user: a process may only signal processes of the same user (kill(2)), and the agent never runs as root."""
    if request.notify and request.notify.signal and not identity.known:
        yield _warning(
            "signal",
            "the agent can signal its own user's processes only, and the application's user is root or unknown",
            "set runAsUser to the application's number",
        )


def _quality_of_service(pod: Pod, resources: Json) -> Iterator[Problem]:
    if not pod.spec.get("resources") and is_guaranteed(pod) and not keeps_guaranteed(resources):
        yield _warning(
            "agent-limits-cpu, agent-limits-memory",
            "the agent's requests are not its limits, so the pod is no longer Guaranteed",
            "set equal amounts, or none of these annotations",
        )


def _memory(request: InjectionRequest, resources: Json) -> Iterator[Problem]:
    limit = resources.get("limits", {}).get("memory")
    attached = any(isinstance(source, FileContent) for file in request.files for source in file.sources)
    needed = _AGENT_MEMORY + request.volume_size + (int(request.volume_size * _ATTACHMENTS) if attached else 0)
    if request.volume_size > _DEFAULT_VOLUME_SIZE and 0 < amount(limit) < needed:
        yield _warning(
            "volume-size",
            f"files in memory count as the agent's, whose limit is {limit}",
            f"set agent-limits-memory to {needed >> 20}Mi or more",
        )


def _warning(name: str, found: str, right: str = "") -> Problem:
    return Problem(f"{PREFIX}{name}", found, right, Severity.WARNING)
