"""Decides which containers of a pod may receive secrets: by default, only if they are named, or never.

The order in which containers start decides: init containers in the order of the pod, with the agent's at their position
(:mod:`.placement`), then all ordinary containers. A container that starts before the agent would find an empty volume, or would not
start at all, and the pod with it.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence

import attrs

from keeper_injector_common.annotations.request import Containers, InjectionRequest
from keeper_injector_common.annotations.table import PREFIX
from keeper_injector_common.errors import Problem, Severity
from keeper_injector_webhook.admission.meshes import mesh_of, native_proxies
from keeper_injector_webhook.admission.placement import agent_position
from keeper_injector_webhook.admission.pod import Container, Pod

_HTTPS = "443"
"""The port at which the agent reaches Keeper and clouds."""


class MayReceive(enum.Enum):
    """Whether a container may receive secrets."""

    BY_DEFAULT = "by default"
    IF_NAMED = "only if named"
    """The container of a service mesh: it needs no secrets, and its author is not the pod's."""
    NEVER = "never"
    """The container starts before the agent."""


Received = dict[tuple[int, ...], list[Container]]
"""The containers that receive the same things together, in the order in which they start.

The keys are positions in ``(*request.files, *request.folders, *request.variables)``."""


@attrs.frozen
class Receivers:
    """The containers of one pod, each with whether it may receive secrets."""

    _whole: Containers
    """The containers that the whole request names."""
    _rated: tuple[tuple[Container, MayReceive], ...]

    def rated(self) -> Sequence[tuple[Container, MayReceive]]:
        """Return all containers of the pod in the order in which they start, with whether they may receive secrets."""
        return self._rated

    def received(self, request: InjectionRequest) -> Received:
        """Return the containers that may receive something, by the numbers of the files, folders and variables that they receive.

        An own list wins over that of the whole request. With neither, the item goes to the containers that receive by default.
        The cost is that of the lists and the result: it does not grow with containers times items.
        """
        chosen = [item.containers for item in (*request.files, *request.folders, *request.variables)]
        everyone = tuple(number for number, own in enumerate(chosen) if own is None)
        named: dict[str, set[int]] = {}
        for number, own in enumerate(chosen):
            for name in own or ():
                named.setdefault(name, set()).add(number)
        found: Received = {}
        for container, rating in self._rated:
            if rating is MayReceive.NEVER:
                continue
            by_default = rating is MayReceive.BY_DEFAULT if self._whole is None else container.name in self._whole
            numbers = everyone if by_default else ()
            if own_items := named.get(container.name):
                numbers = tuple(sorted({*numbers, *own_items}))
            found.setdefault(numbers, []).append(container)
        return found


def rate(request: InjectionRequest, pod: Pod) -> Receivers:
    """Rate every container of *pod*."""
    position = agent_position(request, pod)
    return Receivers(request.containers, tuple([(item, _rating(item, position)) for item in pod.containers()]))


def _rating(container: Container, position: int) -> MayReceive:
    if container.kind == "initContainers" and container.index < position:
        return MayReceive.NEVER
    return MayReceive.IF_NAMED if mesh_of(container) else MayReceive.BY_DEFAULT


def problems_of_receivers(request: InjectionRequest, pod: Pod, receivers: Receivers) -> Iterator[Problem]:
    """Yield each container that *request* names and that does not exist or starts before the agent, and deliveries to nobody."""
    items = (*request.files, *request.folders, *request.variables)
    named = {(item.where, item.containers): None for item in items if item.containers}
    if request.containers:
        named = {(f"{PREFIX}containers", request.containers): None, **named}
    present = {container.name: rating for container, rating in receivers.rated()}
    for where, containers in named:
        for name in containers:
            if name not in present:
                yield Problem(where, f"the pod has no container {name!r}", f"it has {', '.join(present)}")
            elif present[name] is MayReceive.NEVER:
                yield Problem(where, f"container {name!r} starts before the agent", _way_out(request, pod, name))
    if request.containers is not None or MayReceive.BY_DEFAULT in present.values():
        return
    if unnamed := next((item for item in items if item.containers is None), None):
        found = "no container of the pod receives it, because all belong to a service mesh or start before the agent"
        yield Problem(unnamed.where, found, f"name one with {PREFIX}containers")


def _way_out(request: InjectionRequest, pod: Pod, name: str) -> str:
    if any(container.name == name and mesh_of(container) for container in pod.containers()):
        return "remove it from the list"
    if proxies := {container.name for container in native_proxies(pod)}:
        return f"move it behind {', '.join(sorted(proxies))}, which the agent needs, or remove it from the list"
    if not request.init_first:
        return f'remove it from the list, or remove {PREFIX}init-first: "false"'
    return "move it behind the init containers of the service mesh, or remove it from the list"


def warnings_of_meshes(request: InjectionRequest, pod: Pod, receivers: Receivers) -> Iterator[Problem]:
    """Yield what a service mesh changes for the agent and for the pod's own init containers."""
    proxies = {container.name for container in native_proxies(pod)}
    for container, rating in receivers.rated() if request.init_first else ():
        if rating is MayReceive.NEVER and not mesh_of(container):
            yield _warning(
                "containers",
                f"init container {container.name!r} starts before the agent, so it receives nothing",
                f"move it behind {', '.join(sorted(proxies))}, which the agent needs",
            )
    for container, rating in receivers.rated():
        mesh = None if rating is MayReceive.BY_DEFAULT else mesh_of(container)
        if mesh and mesh.validates == container.name and not proxies:
            excluded = pod.annotations.get(mesh.exclusion, "")
            if _HTTPS not in {port.strip() for port in excluded.split(",")}:
                yield _warning(
                    "inject",
                    f"{mesh.title} redirects the agent's requests to {mesh.proxy}, which starts after the agent",
                    f'set {mesh.native}, or the annotation {mesh.exclusion}: "{_HTTPS}"',
                )


def _warning(name: str, found: str, right: str) -> Problem:
    return Problem(f"{PREFIX}{name}", found, right, Severity.WARNING)
