"""Decides what to do with a pod: skip it, deny it with every problem, or inject by a plan. Needs no cluster and no secret."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial

from keeper_injector_common.annotations.parser import read_request, wants_injection
from keeper_injector_common.annotations.request import InjectionRequest
from keeper_injector_common.annotations.table import PREFIX, SET_BY_WEBHOOK
from keeper_injector_common.errors import AnnotationsError, Problem
from keeper_injector_webhook.admission import names
from keeper_injector_webhook.admission.decision import Decision, Deny, Inject, Skip, SkipReason, warning_texts
from keeper_injector_webhook.admission.environment import Variables, assign_variables, problems_of_variables
from keeper_injector_webhook.admission.expansion import (
    problems_of_expansion,
    warnings_of_expansion,
    warnings_of_handlers,
)
from keeper_injector_webhook.admission.identity import identify
from keeper_injector_webhook.admission.mounts import problems_of_mounts, warnings_of_mounts
from keeper_injector_webhook.admission.plan_for_pod import build_plan
from keeper_injector_webhook.admission.pod import Container, Pod
from keeper_injector_webhook.admission.readers import warnings_of_readers
from keeper_injector_webhook.admission.receivers import problems_of_receivers, rate, warnings_of_meshes
from keeper_injector_webhook.admission.resources import agent_resources, problems_of_resources
from keeper_injector_webhook.admission.rules import Candidate, problems_of_candidate
from keeper_injector_webhook.admission.volumes import Volume, lay_out, problems_of_volumes
from keeper_injector_webhook.admission.warnings import warnings_for
from keeper_injector_webhook.settings import Settings

_INJECT = f"{PREFIX}inject"
_MIRROR = "kubernetes.io/config.mirror"
"""The annotation of mirror pods: a kubelet creates them so that API servers show its static pods."""
_MOST_ANNOTATIONS = 256 * 1024
"""Bytes of all annotations of an object, names and values (apimachinery, TotalAnnotationSizeLimitB)."""
_MARKS = sum(map(len, SET_BY_WEBHOOK)) + len("true")
"""Bytes that an injection adds beside the plan."""


def decide_pod(pod: Pod, settings: Settings, namespace: str) -> Decision:
    """Decide what to do with *pod*, which is about to be created in *namespace*.

    Raises :class:`~keeper_injector_webhook.errors.ReviewError` if a part of the pod that matters has the wrong JSON type.
    """
    try:
        if not wants_injection(pod.annotations):
            return Skip(SkipReason.NOT_ASKED)
        if _MIRROR in pod.annotations:
            return Skip(SkipReason.MIRROR)
        agents = [container for container in pod.containers() if container.name in names.AGENT_CONTAINERS]
        if agents and all(container.command[:1] == [names.AGENT_PROGRAM] for container in agents):
            return Skip(SkipReason.ALREADY_INJECTED)
        request, unreadable = _request(frozenset(pod.annotations.items()), settings, namespace)
    except AnnotationsError as error:
        return Deny(error.problems, error.warnings)
    if agents:
        return Deny((*unreadable, *map(_name_taken, agents)), request.warnings)
    candidate = Candidate(request, pod, namespace)
    receivers = rate(request, pod)
    volumes = lay_out(request, receivers)
    variables = assign_variables(request, receivers, settings)
    resources = agent_resources(request, pod, settings)
    # Rules about a setting that cannot be read would report what its author did not mean.
    is_known = partial(_is_known, unreadable)
    receivers_known = is_known("containers", "init-first")
    problems = itertools.chain(
        unreadable,
        problems_of_candidate(candidate),
        problems_of_receivers(request, pod, receivers) if receivers_known else (),
        problems_of_volumes(request, receivers) if receivers_known else (),
        problems_of_mounts(pod, volumes, variables) if receivers_known else (),
        problems_of_variables(request, settings, variables) if receivers_known and is_known("env-mode") else (),
        problems_of_expansion(variables) if receivers_known and is_known("env-mode") else (),
        problems_of_resources(resources) if is_known("agent-requests-", "agent-limits-") else (),
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
        *warnings_of_readers(request, pod, identity, volumes),
        *warnings_of_handlers(variables),
        *warnings_of_expansion(variables),
        *warnings_of_meshes(request, pod, receivers),
    )
    plan = build_plan(request, volumes, variables, identity)
    inject = Inject(plan, request, volumes, variables, identity, resources, warnings)
    if too_large := tuple(_size_of_annotations(pod, inject)):
        return Deny(too_large, request.warnings)
    return inject


def _name_taken(container: Container) -> Problem:
    return Problem(_INJECT, f"the pod has a container {container.name!r} that is not the agent's", "rename it")


def _size_of_annotations(pod: Pod, inject: Inject) -> Iterator[Problem]:
    """Yield a problem if API servers would reject the pod's annotations together with the plan."""
    kept = {key: text for key, text in pod.annotations.items() if key not in SET_BY_WEBHOOK}
    sizes = [len(text.encode("utf-8", "surrogatepass")) for pair in kept.items() for text in pair]
    warned = "\n".join(warning_texts(inject.warnings))
    plan = len((inject.plan_text + warned).encode("utf-8", "surrogatepass"))
    if sum(sizes) + plan + _MARKS > _MOST_ANNOTATIONS:
        yield Problem(
            _INJECT,
            f"the pod's annotations have {sum(sizes) >> 10} KiB and the agent's plan {plan >> 10} KiB, of 256 KiB together",
            "request fewer secrets in one pod, or give all containers the same ones, so that the plan lists them once",
        )


def _is_known(unreadable: Sequence[Problem], *settings: str) -> bool:
    """Return whether none of *unreadable* is about one of *settings*, in an annotation or in the ``config`` document."""
    return not any(name in problem.where for problem in unreadable for name in settings)


@lru_cache(maxsize=512)
def _request(
    annotations: frozenset[tuple[str, str]], settings: Settings, namespace: str
) -> tuple[InjectionRequest, tuple[Problem, ...]]:
    """Read annotations. The result is cached, because the pods of one workload have the same annotations."""
    return read_request(dict(annotations), settings.defaults.within(namespace), settings.policies.within(namespace))
