"""Decides what to do with a pod: skip it, deny it with every problem, or inject by a plan. Needs no cluster and no secret."""

from __future__ import annotations

import itertools
from functools import lru_cache

from keeper_injector_common.annotations.parser import parse_request, wants_injection
from keeper_injector_common.annotations.request import InjectionRequest
from keeper_injector_common.errors import AnnotationsError
from keeper_injector_webhook.admission import names
from keeper_injector_webhook.admission.decision import Decision, Deny, Inject, Skip, SkipReason
from keeper_injector_webhook.admission.environment import Variables, assign_variables, problems_of_variables
from keeper_injector_webhook.admission.expansion import problems_of_expansion, warnings_of_handlers
from keeper_injector_webhook.admission.identity import identify
from keeper_injector_webhook.admission.mounts import problems_of_mounts, warnings_of_mounts
from keeper_injector_webhook.admission.plan_for_pod import build_plan
from keeper_injector_webhook.admission.pod import Pod
from keeper_injector_webhook.admission.receivers import problems_of_receivers, rate, warnings_of_meshes
from keeper_injector_webhook.admission.resources import agent_resources, problems_of_resources
from keeper_injector_webhook.admission.rules import Candidate, problems_of_candidate
from keeper_injector_webhook.admission.volumes import Volume, lay_out, problems_of_volumes
from keeper_injector_webhook.admission.warnings import warnings_for
from keeper_injector_webhook.settings import Settings


def decide_pod(pod: Pod, settings: Settings, namespace: str) -> Decision:
    """Decide what to do with *pod*, which is about to be created in *namespace*.

    Raises :class:`~keeper_injector_webhook.errors.ReviewError` if a part of the pod that matters has the wrong JSON type.
    """
    try:
        if not wants_injection(pod.annotations):
            return Skip(SkipReason.NOT_ASKED)
        if any(container.name in names.AGENT_CONTAINERS for container in pod.containers()):
            return Skip(SkipReason.ALREADY_INJECTED)
        request = _request(frozenset(pod.annotations.items()), settings, namespace)
    except AnnotationsError as error:
        return Deny(error.problems, error.warnings)
    candidate = Candidate(request, pod, namespace)
    receivers = rate(request, pod)
    volumes = lay_out(request, receivers)
    variables = assign_variables(request, receivers, settings)
    resources = agent_resources(request, pod, settings)
    problems = itertools.chain(
        problems_of_candidate(candidate),
        problems_of_receivers(request, pod, receivers),
        problems_of_volumes(request, receivers),
        problems_of_mounts(pod, volumes, variables),
        problems_of_variables(request, settings, variables),
        problems_of_expansion(variables),
        problems_of_resources(resources),
    )
    if distinct := tuple(dict.fromkeys(problems)):
        return Deny(distinct, request.warnings)
    groups: tuple[Volume | Variables, ...] = (*volumes, *variables)
    receiving = {container.name: container for group in groups for container in group.containers}
    identity = identify(request, pod, receiving.values())
    warnings = (
        *request.warnings,
        *warnings_for(candidate, identity, resources),
        *warnings_of_mounts(volumes),
        *warnings_of_handlers(variables),
        *warnings_of_meshes(request, pod, receivers),
    )
    plan = build_plan(request, volumes, variables, identity)
    return Inject(plan, request, volumes, variables, identity, resources, warnings)


@lru_cache(maxsize=512)
def _request(annotations: frozenset[tuple[str, str]], settings: Settings, namespace: str) -> InjectionRequest:
    """Parse annotations. The result is cached, because the pods of one workload have the same annotations."""
    return parse_request(dict(annotations), settings.defaults.within(namespace), settings.policies.within(namespace))
