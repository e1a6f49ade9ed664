"""Writes a decision to inject as JSON Patch operations (RFC 6902): ``add`` only, in a fixed order, so that the rest of the pod stays."""

from __future__ import annotations

from typing import Any

import orjson

from keeper_injector_common.annotations.table import INJECTED, PLAN, WARNINGS
from keeper_injector_common.json_values import Json
from keeper_injector_webhook.admission import environment, manifests
from keeper_injector_webhook.admission.decision import Inject, warning_texts
from keeper_injector_webhook.admission.placement import agent_position
from keeper_injector_webhook.admission.pod import Pod, starting_order
from keeper_injector_webhook.admission.restarts import liveness_probe
from keeper_injector_webhook.settings import Settings


def build_patch(pod: Pod, decision: Inject, settings: Settings) -> list[Json]:
    """Return the operations that apply *decision* to *pod*."""
    operations = [*_annotations(pod, decision), *_volumes(pod, decision)]
    # The pod's own containers first: inserting init containers would change their indexes.
    operations += _mounts(decision)
    operations += _variables(decision)
    operations += [
        _add(f"{item.container.pointer}/livenessProbe", liveness_probe(item)) for item in decision.restarting
    ]
    operations += _agents(pod, decision, settings)
    if decision.request.notify and decision.request.notify.signal and not pod.spec.get("shareProcessNamespace"):
        operations.append(_add("/spec/shareProcessNamespace", True))
    return operations


def _escape(name: str) -> str:
    """Return *name* as one token of a JSON Pointer (RFC 6901, section 4)."""
    return name.replace("~", "~0").replace("/", "~1")


def _add(path: str, value: Any) -> Json:
    return {"op": "add", "path": path, "value": value}


def _annotations(pod: Pod, decision: Inject) -> list[Json]:
    values = {INJECTED: "true", PLAN: decision.plan_text}
    # A pod that was copied from another one has the other's warnings.
    if decision.warnings or WARNINGS in pod.annotations:
        values[WARNINGS] = "\n".join(warning_texts(decision.warnings))
    if not pod.metadata.get("annotations"):
        return [_add("/metadata/annotations", values)]
    return [_add(f"/metadata/annotations/{_escape(key)}", value) for key, value in values.items()]


def _volumes(pod: Pod, decision: Inject) -> list[Json]:
    added = decision.written.part("volumes", None, lambda: manifests.volumes_to_add(decision))
    return _appended("/spec/volumes", pod.spec.get("volumes"), added)


def _mounts(decision: Inject) -> list[Json]:
    operations = []
    wanted = manifests.mounts_to_add(decision)
    for container in sorted(wanted, key=starting_order):
        present = container.raw.get("volumeMounts")
        operations += _appended(f"{container.pointer}/volumeMounts", present, wanted[container])
    return operations


def _variables(decision: Inject) -> list[Json]:
    operations = []
    for group in decision.variables:
        for container in group.containers:
            path = container.pointer
            if group.style == "exec":
                # ``add`` replaces an existing member (RFC 6902, section 4.1).
                operations.append(_add(f"{path}/command", environment.wrapped_command(container, group)))
            else:
                entries = environment.env_entries(container, group)
                operations += _prepended(f"{path}/env", container.raw.get("env"), entries)
    return operations


def _agents(pod: Pod, decision: Inject, settings: Settings) -> list[Json]:
    # With the plan, these are all that the containers depend on; a dict cannot be a key.
    key = settings, decision.restarts, orjson.dumps(decision.resources)
    agents = decision.written.part("agents", key, lambda: manifests.agent_containers(decision, settings))
    starting, staying = agents[:1], agents[1:]
    if decision.native:
        starting += staying
        staying = []
    own = pod.spec.get("initContainers")
    operations = _appended("/spec/containers", pod.spec.get("containers"), staying)
    if not own:
        return [*operations, _add("/spec/initContainers", starting)]
    position = agent_position(decision.request, pod)
    return operations + [
        _add(f"/spec/initContainers/{position + offset}", container) for offset, container in enumerate(starting)
    ]


def _appended(path: str, present: object, items: list[Json]) -> list[Json]:
    """Return operations that append *items* to the array at *path*.

    ``-`` appends to an existing array only (RFC 6902, section 4.1); a missing one is added as a whole.
    """
    if not items:
        return []
    return [_add(f"{path}/-", item) for item in items] if present else [_add(path, items)]


def _prepended(path: str, present: object, items: list[Json]) -> list[Json]:
    """Return operations that insert *items* at the start of the array at *path*: ``$(NAME)`` expands what is before it only."""
    if not items:
        return []
    return [_add(f"{path}/{index}", item) for index, item in enumerate(items)] if present else [_add(path, items)]
