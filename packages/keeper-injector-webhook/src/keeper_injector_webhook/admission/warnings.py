"""What works but will surprise: warnings that ``kubectl`` shows, and the pod is created all the same; pure."""

from __future__ import annotations

from collections.abc import Iterator

from keeper_injector_common.annotations.identity import Identity
from keeper_injector_common.annotations.table import PREFIX
from keeper_injector_common.errors import Problem, Severity
from keeper_injector_common.json_values import Json
from keeper_injector_webhook.admission import resources
from keeper_injector_webhook.admission.pod import Pod
from keeper_injector_webhook.admission.rules import Candidate

AGENT_MEMORY = 64 * 1024 * 1024
"""Bytes that a refresh takes beside the files (bench_agent); what it writes into memory volumes counts as its own too."""


def warnings_for(candidate: Candidate, *, identity: Identity, lines: Json) -> tuple[Problem, ...]:
    """Return the warnings, the parser's first."""
    return (
        *candidate.request.warnings,
        *_job(candidate),
        *_network_of_the_node(candidate),
        *_signal(candidate, identity),
        *_class_of_service(candidate.pod, lines),
        *_memory(candidate, lines),
    )


def _job(candidate: Candidate) -> Iterator[Problem]:
    """An ordinary container that never ends keeps a Job from its end, and a pod that is not restarted from its."""
    ends = candidate.pod.owner.startswith("Job/") or candidate.pod.spec.get("restartPolicy") in {"Never", "OnFailure"}
    if ends and candidate.request.sidecar == "classic" and not candidate.request.init_only:
        yield _warning(
            "sidecar", "a classic sidecar never ends, and neither will this pod", f'add {PREFIX}init-only: "true"'
        )


def _network_of_the_node(candidate: Candidate) -> Iterator[Problem]:
    if candidate.request.metrics_port and candidate.pod.spec.get("hostNetwork"):
        yield _warning(
            "metrics-port",
            "the pod uses the node's network, where one process alone can have port "
            f"{candidate.request.metrics_port}, and whoever reaches the node reads it",
        )


def _signal(candidate: Candidate, identity: Identity) -> Iterator[Problem]:
    """A process may signal those of its own user only (kill(2)), and the agent never is root."""
    notify = candidate.request.notify
    if notify and notify.signal and not identity.known:
        yield _warning(
            "signal",
            "the agent can signal its own user's processes only, and the application's user is root or unknown",
            "set runAsUser to the application's number",
        )


def _class_of_service(pod: Pod, lines: Json) -> Iterator[Problem]:
    if not pod.spec.get("resources") and resources.is_guaranteed(pod) and not resources.keeps_guaranteed(lines):
        yield _warning(
            "agent-limits-cpu, agent-limits-memory",
            "the agent's requests are not its limits, and the pod is no longer Guaranteed",
            "give equal amounts, or none of these annotations",
        )


def _memory(candidate: Candidate, lines: Json) -> Iterator[Problem]:
    limit = resources.amount(lines.get("limits", {}).get("memory"))
    needed = candidate.request.volume_size + AGENT_MEMORY
    if candidate.request.volume_size > DEFAULT_VOLUME and 0 < limit < needed:
        yield _warning(
            "volume-size",
            f"files in memory count as the agent's, whose limit is {lines['limits']['memory']}",
            f"set agent-limits-memory to {needed >> 20}Mi or more",
        )


def _warning(name: str, found: str, right: str = "") -> Problem:
    return Problem(f"{PREFIX}{name}", found, right, Severity.WARNING)


DEFAULT_VOLUME = 16 * 1024 * 1024
