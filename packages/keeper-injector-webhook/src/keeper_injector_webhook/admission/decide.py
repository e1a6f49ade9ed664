"""Decides what to do with a pod: skip it, deny it with every problem, or inject by a plan. Needs no cluster and no secret."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial

from keeper_injector_common.annotations.parser import wants_injection
from keeper_injector_common.annotations.table import PREFIX
from keeper_injector_common.errors import AnnotationsError, Problem
from keeper_injector_webhook.admission import limits, names
from keeper_injector_webhook.admission.asked import read_asked
from keeper_injector_webhook.admission.decision import Decision, Deny, Inject, Skip, SkipReason
from keeper_injector_webhook.admission.environment import Variables, assign_variables, problems_of_variables
from keeper_injector_webhook.admission.expansion import (
    problems_of_expansion,
    warnings_of_expansion,
    warnings_of_handlers,
)
from keeper_injector_webhook.admission.identity import identify
from keeper_injector_webhook.admission.mounts import mounted_together, problems_of_mounts, warnings_of_mounts
from keeper_injector_webhook.admission.plan_for_pod import build_plan
from keeper_injector_webhook.admission.pod import Container, Pod
from keeper_injector_webhook.admission.readers import warnings_of_readers
from keeper_injector_webhook.admission.receivers import problems_of_receivers, rate, warnings_of_meshes
from keeper_injector_webhook.admission.resources import agent_resources, problems_of_resources
from keeper_injector_webhook.admission.restart_all import problems_of_restart_all, warnings_of_restart_all
from keeper_injector_webhook.admission.restarts import (
    problems_of_directories,
    problems_of_restarts,
    restart_plan,
    restarting,
)
from keeper_injector_webhook.admission.rules import Candidate, problems_of_candidate
from keeper_injector_webhook.admission.volumes import Volume, deliveries, lay_out, mount_count, problems_of_volumes
from keeper_injector_webhook.admission.warnings import warnings_for
from keeper_injector_webhook.settings import Settings

_INJECT = f"{PREFIX}inject"


def decide_pod(pod: Pod, settings: Settings, namespace: str) -> Decision:
    """Decide what to do with *pod*, which is about to be created in *namespace*.

    Raises :class:`~keeper_injector_webhook.errors.ReviewError` if a part of the pod that matters has the wrong JSON type.
    """
    try:
        agents = [container for container in pod.containers() if container.name in names.AGENT_CONTAINERS]
        if reason := _why_skipped(pod, agents):
            return Skip(reason)
        if too_large := tuple(limits.problems_of_size(pod)):
            return Deny(too_large)
        asked = read_asked(pod.annotations, settings, namespace)
    except AnnotationsError as error:
        return Deny(error.problems, error.warnings)
    request, unreadable = asked.request, asked.problems
    if agents:
        return Deny((*unreadable, *map(_name_taken, agents)), request.warnings)
    candidate = Candidate(request, pod, namespace)
    receivers = rate(request, pod)
    received = receivers.received(request)
    if too_many := tuple(limits.problems_of_deliveries(*deliveries(received))):
        return Deny((*unreadable, *too_many), request.warnings)
    volumes = lay_out(request, received)
    if too_many := tuple(limits.problems_of_mounts(mount_count(volumes))):
        return Deny((*unreadable, *too_many), request.warnings)
    variables = assign_variables(request, received, settings)
    groups: tuple[Volume | Variables, ...] = (*volumes, *variables)
    together = mounted_together(volumes, variables)
    restarts = restarting(request, groups)
    resources = agent_resources(request, pod, settings)
    # Rules about a setting that cannot be read would report what its author did not mean.
    is_known = partial(_is_known, unreadable)
    receivers_known = is_known("containers", "init-first")
    problems = itertools.chain(
        unreadable,
        problems_of_candidate(candidate),
        problems_of_receivers(request, pod, receivers) if receivers_known else (),
        problems_of_volumes(request, received) if receivers_known else (),
        problems_of_mounts(pod, volumes, together) if receivers_known else (),
        problems_of_variables(request, settings, variables) if receivers_known and is_known("env-mode") else (),
        problems_of_expansion(variables) if receivers_known and is_known("env-mode") else (),
        problems_of_restarts(request, pod, restarts) if receivers_known else (),
        problems_of_directories(volumes, restarts) if receivers_known else (),
        problems_of_restart_all(request, pod, settings, groups) if receivers_known else (),
        problems_of_resources(resources) if is_known("agent-requests-", "agent-limits-") else (),
    )
    if distinct := tuple(dict.fromkeys(itertools.islice(problems, limits.MOST_PROBLEMS))):
        return Deny(distinct, request.warnings)
    receiving = {container.name: container for group in groups for container in group.containers}
    identity = identify(request, pod, receiving.values())
    warnings = (
        *request.warnings,
        *warnings_for(candidate, identity, resources),
        *warnings_of_mounts(volumes, together),
        *warnings_of_readers(request, pod, identity, volumes),
        *warnings_of_handlers(variables),
        *warnings_of_expansion(variables),
        *warnings_of_meshes(request, pod, receivers),
        *warnings_of_restart_all(request, pod),
    )
    restart = restart_plan(request, restarts)
    plan = asked.plan(
        (tuple(received), identity, restart), lambda: build_plan(request, volumes, variables, identity, restart)
    )
    repeats = pod.spec.get("restartPolicy") != "Never"
    inject = Inject(plan, request, volumes, variables, identity, resources, warnings, repeats, restarts)
    if too_large := tuple(limits.problems_of_plan(pod, inject)):
        return Deny(too_large, request.warnings)
    return inject


def _why_skipped(pod: Pod, agents: Sequence[Container]) -> SkipReason | None:
    """Return why a pod with these containers of the *agents'* names is not changed."""
    if not wants_injection(pod.annotations):
        return SkipReason.NOT_ASKED
    if names.MIRROR in pod.annotations:
        return SkipReason.MIRROR
    injected = agents and all(container.command[:1] == [names.AGENT_PROGRAM] for container in agents)
    return SkipReason.ALREADY_INJECTED if injected else None


def _name_taken(container: Container) -> Problem:
    return Problem(_INJECT, f"the pod has a container {container.name!r} that is not the agent's", "rename it")


def _is_known(unreadable: Sequence[Problem], *settings: str) -> bool:
    """Return whether none of *unreadable* is about one of *settings*, in an annotation or in the ``config`` document."""
    return not unreadable or not any(name in problem.where for problem in unreadable for name in settings)
