"""Restarts all containers of a pod after a change (``on-change: restart-all``): RestartAllContainers of Kubernetes (KEP-5532).

The sidecar exits with a code, and a rule of the sidecar tells the kubelet to restart all containers in place. The pod keeps its volumes, its
address and its node. The kubelet calls no preStop hook and grants no grace period, ignores PodDisruptionBudgets, runs init containers again,
and also containers that have completed. Therefore a pod must ask for it, the installation must allow it, and a pod that is to end cannot
have it: the Job controller counts these restarts as failures.

An API server before 1.35 drops the rule silently, 1.35 rejects the pod, and nodes before 1.36 do not get it. The webhook cannot see nodes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from keeper_injector_common.annotations.request import InjectionRequest
from keeper_injector_common.annotations.table import PREFIX
from keeper_injector_common.errors import Problem, Severity
from keeper_injector_common.json_values import Json
from keeper_injector_common.plan.delivery import RESTART_ALL_CODE, RestartAll
from keeper_injector_webhook.admission.environment import Variables
from keeper_injector_webhook.admission.pod import Pod, object_at
from keeper_injector_webhook.admission.restarts import problems_of_no_sidecar
from keeper_injector_webhook.admission.volumes import Volume
from keeper_injector_webhook.settings import Settings

_WHERE = f"{PREFIX}on-change"
_INSTEAD = "write on-change: restart"
_ENDING = ("Never", "OnFailure")


def restart_all_plan(request: InjectionRequest) -> RestartAll | None:
    """Return what the agent does about the restart."""
    if request.on_change != "restart-all":
        return None
    return RestartAll(spread=request.restart_spread, min_interval=request.restart_min_interval)


def restart_rules(request: InjectionRequest) -> Json:
    """Return the fields of the sidecar that let the kubelet restart all containers; none if the pod does not ask for that."""
    if request.on_change != "restart-all":
        return {}
    exit_codes = {"operator": "In", "values": [RESTART_ALL_CODE]}
    return {"restartPolicyRules": [{"action": "RestartAllContainers", "exitCodes": exit_codes}]}


def problems_of_restart_all(
    request: InjectionRequest, pod: Pod, settings: Settings, groups: Sequence[Volume | Variables]
) -> Iterator[Problem]:
    """Yield why not all containers can restart after a change of one of *groups*."""
    if request.on_change != "restart-all":
        return
    if not settings.restart_all_containers_possible:
        found = "the API server is older than Kubernetes 1.36, so it does not know RestartAllContainers"
        yield Problem(_WHERE, found, _INSTEAD)
    elif not settings.restart_all_containers:
        found = "the webhook does not know whether all nodes support RestartAllContainers (Kubernetes 1.36)"
        yield Problem(_WHERE, found, f"set the chart value restartAllContainers: true, or {_INSTEAD}")
    yield from problems_of_no_sidecar(request)
    if request.sidecar == "classic" and not request.init_only:
        yield Problem(
            _WHERE, "the pod has sidecar: classic, which cannot restart the others", f"{_INSTEAD}, or remove it"
        )
    yield from _ending(pod)
    if not any(group.containers for group in groups):
        yield Problem(_WHERE, "no container receives a secret", "remove on-change")


def _ending(pod: Pod) -> Iterator[Problem]:
    """Find what is to end: a Job would fail, and containers that have completed would run again."""
    policy = pod.spec.get("restartPolicy")
    if policy in _ENDING:
        found = (
            f"the pod has restartPolicy: {policy}, as pods of Jobs have: containers that have completed would run again"
        )
        yield Problem(_WHERE, found, "remove on-change")
        return
    for container in pod.containers():
        own = container.raw.get("restartPolicy")
        if container.kind == "containers" and own in _ENDING:
            found = f"container {container.name!r} has restartPolicy: {own}, and would run again after it has completed"
            yield Problem(_WHERE, found, _INSTEAD)


def warnings_of_restart_all(request: InjectionRequest, pod: Pod) -> Iterator[Problem]:
    """Warn of hooks that the kubelet does not call."""
    if request.on_change != "restart-all":
        return
    for container in pod.containers():
        if object_at(object_at(container.raw, "lifecycle"), "preStop"):
            found = f"container {container.name!r} has a preStop hook, which is skipped when all containers restart"
            yield Problem(_WHERE, found, _INSTEAD, Severity.WARNING)
