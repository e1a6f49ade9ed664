"""Decides about the pods of workloads in manifests, for ``lint``, ``explain`` and ``preview``, as the server decides about pods.

The pods are made from the pod templates. They lack what API servers add before they call a webhook: defaults, and the token of a
service account.
"""

from __future__ import annotations

from functools import lru_cache

import attrs

from keeper_injector_common.cli.checks import non_string_annotations
from keeper_injector_common.cli.console import CommandError
from keeper_injector_common.cli.inputs import ChartSettings
from keeper_injector_common.cli.manifests import Workload
from keeper_injector_common.cli.webhook_rules import Verdict
from keeper_injector_common.errors import Problem
from keeper_injector_common.json_values import Json
from keeper_injector_webhook.admission import Decision, Deny, Inject, Pod, decide_pod
from keeper_injector_webhook.admission.pod import object_at
from keeper_injector_webhook.errors import ReviewError, SettingsError
from keeper_injector_webhook.settings import Settings, read_values

_OWNERS = {"Deployment": "ReplicaSet", "CronJob": "Job"}
"""The kind of the object between a workload and its pods."""
_MAX_VALUES = 100_000
"""The number of values in a pod. API servers accept 3 MB, but YAML aliases could expand to more than fits in memory."""


def check(workload: Workload, chart: ChartSettings, namespace: str) -> Verdict:
    """Return the verdict of a webhook that is installed with the values of *chart*; see :func:`verdict`."""
    return verdict(workload, settings_of(chart), namespace)


def verdict(workload: Workload, settings: Settings, namespace: str) -> Verdict:
    """Return the problems and warnings that the webhook would have for the pods of *workload*.

    A template without containers is a part of a manifest, such as a patch of kustomize; nothing is known about its pods.
    """
    if not workload.containers():
        return (), ()
    try:
        decision = decide_workload(workload, settings, namespace)
    except ReviewError as error:
        found = str(error).removeprefix("request.object: ")
        path = workload.template_path or "the pod"
        return (Problem(path, found, "an API server would not accept it, correct the manifest"),), ()
    match decision:
        case Deny(problems, warnings):
            return problems, warnings
        case Inject(warnings=warnings):
            return (), warnings
        case _:
            return (), ()


@lru_cache(maxsize=1)
def settings_of(chart: ChartSettings, base: Settings | None = None) -> Settings:
    """Return the settings of a webhook that is installed with the values of *chart*; what they leave out is as in *base*.

    Raises :class:`~keeper_injector_common.cli.console.CommandError` with every problem of the values.
    """
    try:
        found = read_values(chart.values, chart.file, base or Settings())
    except SettingsError as error:
        raise CommandError(str(error)) from None
    return attrs.evolve(found, defaults=chart.defaults, policies=chart.policies)


def decide_workload(workload: Workload, settings: Settings, namespace: str) -> Decision:
    """Decide about the pods of *workload*; *namespace* applies if it does not set one.

    Raises ReviewError or AnnotationsError for a workload that an API server would not accept.
    """
    pod = Pod(pod_of(workload))
    own_namespace = object_at(workload.manifest, "metadata").get("namespace")
    # The API server rejects annotations that are not strings before it calls a webhook.
    problems = non_string_annotations(workload)
    return Deny(problems) if problems else decide_pod(pod, settings, str(own_namespace or namespace))


def pod_of(workload: Workload) -> Json:
    """Return a pod as the controller of *workload* would create it; raise ReviewError if it cannot be written as JSON."""
    template = workload.template
    _count_values(template, "", {})
    metadata = dict(object_at(template, "metadata"))
    if workload.kind != "Pod":
        kind, _, name = workload.name.partition("/")
        metadata["generateName"] = f"{name}-"
        metadata["ownerReferences"] = [{"kind": _OWNERS.get(kind, kind), "name": name, "controller": True}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": object_at(template, "spec")}


def _count_values(value: object, path: str, counts: dict[int, int]) -> int:
    """Return the number of values in *value*, with each YAML alias counted as often as it is used.

    *counts* holds the results by ``id()``; 0 marks a value that is being counted, and so finds cycles. Raises ReviewError
    for values that JSON does not have, for cycles, and for more than :data:`_MAX_VALUES` values.
    """
    if value is None or isinstance(value, str | bool | int | float):
        return 1
    if not isinstance(value, dict | list):
        raise ReviewError(f"{path} is not a string, number, list or mapping; write it in quotes")
    if id(value) not in counts:
        counts[id(value)] = 0
        items = value.items() if isinstance(value, dict) else enumerate(value)
        counts[id(value)] = 1 + sum(_count_values(item, f"{path}.{key}".lstrip("."), counts) for key, item in items)
    count = counts[id(value)]
    if not count:
        raise ReviewError(f"{path} contains itself through an alias; write the value out")
    if count > _MAX_VALUES:
        raise ReviewError(f"{path or 'the pod'} has more than {_MAX_VALUES} values through aliases; reduce them")
    return count
