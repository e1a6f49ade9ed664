"""Restarts containers after a change (``on-change: restart``): their liveness probes fail once a restart is due.

The kubelet then restarts that container alone, with its preStop hook and grace period, on every version of Kubernetes. The probe runs
``keeper-exec`` in the container, which compares a file in a memory volume with the start of the container. Without a sidecar
the file does not change, so nothing restarts. An HTTP probe that the sidecar answers would cost less, but would restart
containers whenever the sidecar is missing.

A container has one liveness probe. If it runs a command, ``keeper-exec`` executes that command whenever no restart is due.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from keeper_injector_common.annotations.directories import is_inside
from keeper_injector_common.annotations.request import InjectionRequest
from keeper_injector_common.annotations.table import PREFIX
from keeper_injector_common.errors import Problem
from keeper_injector_common.json_values import Json
from keeper_injector_common.plan import paths
from keeper_injector_common.plan.delivery import Restart, RestartedContainer
from keeper_injector_webhook.admission import names
from keeper_injector_webhook.admission.environment import Variables
from keeper_injector_webhook.admission.pod import Container, Pod, object_at, starting_order
from keeper_injector_webhook.admission.volumes import Volume

MOUNT = "/keeper/restart"
"""Where containers that restart mount the volume for their probes."""
SIZE = "2Mi"
_WHERE = f"{PREFIX}on-change"
_PROBE = "livenessProbe"
_PERIOD = 20
"""Seconds. Starting a program in a container costs the node about 40 ms of CPU, and restarts are spread over minutes anyway."""
_TIMEOUT = 10
_FAILURES = 3
"""A node that is so busy that a probe does not end in time must not restart anything."""


@attrs.frozen
class Restarting:
    """A container that restarts after a change of the volumes that it receives."""

    container: Container
    volumes: tuple[str, ...]
    """Names of the volumes."""


def restarting(request: InjectionRequest, groups: Sequence[Volume | Variables]) -> tuple[Restarting, ...]:
    """Return the containers that restart after a change of one of *groups*, in the order in which they start."""
    if request.on_change != "restart":
        return ()
    received: dict[Container, list[str]] = {}
    for group in groups:
        for container in group.containers:
            if container.kind == "containers" or container.raw.get("restartPolicy") == "Always":
                received.setdefault(container, []).append(group.name)
    return tuple(
        Restarting(container, tuple(received[container])) for container in sorted(received, key=starting_order)
    )


def restart_plan(request: InjectionRequest, found: Sequence[Restarting]) -> Restart | None:
    """Return what the agent does about the restarts."""
    if not found:
        return None
    return Restart(
        path=f"{paths.VOLUMES_PATH}/{names.RESTART_VOLUME}",
        spread=request.restart_spread,
        min_interval=request.restart_min_interval,
        containers=tuple(
            RestartedContainer(item.container.name, tuple(f"{paths.VOLUMES_PATH}/{name}" for name in item.volumes))
            for item in found
        ),
    )


def problems_of_no_sidecar(request: InjectionRequest) -> Iterator[Problem]:
    """Yield that no sidecar notices a change, if the pod has none."""
    if request.init_only:
        yield Problem(_WHERE, "the pod has init-only, so that nobody notices a change", "remove one of the two")


def problems_of_restarts(request: InjectionRequest, pod: Pod, found: Sequence[Restarting]) -> Iterator[Problem]:
    """Yield why the containers cannot restart after a change."""
    if request.on_change != "restart":
        return
    yield from problems_of_no_sidecar(request)
    if pod.spec.get("restartPolicy") == "Never":
        yield Problem(_WHERE, "the pod has restartPolicy: Never, so its containers do not restart", "remove on-change")
    if not found:
        yield Problem(_WHERE, "no container that keeps running receives a secret", "remove on-change")
    for item in found:
        probe = object_at(item.container.raw, _PROBE)
        if probe and not _command(probe):
            yield Problem(
                _WHERE,
                f"container {item.container.name!r} has a livenessProbe that does not run a command, and Kubernetes allows only one",
                "write it as an exec probe, remove it, or use signal: SIGTERM instead of on-change",
            )
        for mount in item.container.mounts:
            path = str(mount.get("mountPath") or "")
            if is_inside(path, MOUNT) or is_inside(MOUNT, path):
                name = item.container.name
                found_there = f"{MOUNT}, which the probe of container {name!r} reads, clashes with its mount at {path}"
                yield Problem(_WHERE, found_there, "mount that volume elsewhere")


def problems_of_directories(volumes: Sequence[Volume], found: Sequence[Restarting]) -> Iterator[Problem]:
    """Yield each directory of secrets that clashes with the volume for probes, because our volumes are mounted read-only."""
    for volume in volumes if found else ():
        if is_inside(volume.directory, MOUNT) or is_inside(MOUNT, volume.directory):
            yield Problem(_WHERE, f"{volume.directory} clashes with {MOUNT}, which probes read", "choose another path")


def liveness_probe(item: Restarting) -> Json:
    """Return the probe of a container: its own with our program before the command, or a new one."""
    program = [f"{MOUNT}/{paths.EXEC_NAME}", "--restart-due", f"{MOUNT}/{item.container.name}"]
    probe = object_at(item.container.raw, _PROBE)
    if probe:
        own = object_at(probe, "exec")
        return {**probe, "exec": {**own, "command": [*program, "--", *_command(probe)]}}
    return {
        "exec": {"command": program},
        "periodSeconds": _PERIOD,
        "timeoutSeconds": _TIMEOUT,
        "failureThreshold": _FAILURES,
    }


def _command(probe: Json) -> list[str]:
    """Return the command of a probe; empty if it runs none."""
    command = object_at(probe, "exec").get("command")
    return command if isinstance(command, list) and all(isinstance(word, str) for word in command) else []
