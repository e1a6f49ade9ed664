"""Pod + settings → skip, deny with every problem, or inject by a plan; no I/O, no cluster, no secret."""

from __future__ import annotations

import enum
from functools import lru_cache

import attrs

from keeper_injector_common.annotations.directories import below
from keeper_injector_common.annotations.identity import Identity
from keeper_injector_common.annotations.parser import parse_request, wants_injection
from keeper_injector_common.annotations.request import (
    FolderFiles,
    InjectionRequest,
    SecretCredentials,
    SecretFile,
)
from keeper_injector_common.errors import AnnotationsError, Problem
from keeper_injector_common.json_values import Json
from keeper_injector_common.plan import paths
from keeper_injector_common.plan.credentials import FileCredentials
from keeper_injector_common.plan.model import Directory, FileItem, FolderItem, Plan
from keeper_injector_webhook.admission import environment, rules
from keeper_injector_webhook.admission.environment import Variables
from keeper_injector_webhook.admission.identity import identify
from keeper_injector_webhook.admission.pod import Pod
from keeper_injector_webhook.admission.resources import agent_resources
from keeper_injector_webhook.admission.rules import Candidate
from keeper_injector_webhook.admission.volumes import Volume, lay_out
from keeper_injector_webhook.admission.warnings import warnings_for
from keeper_injector_webhook.settings import Settings

INIT_NAME = "keeper-injector-init"
SIDECAR_NAME = "keeper-injector-sidecar"


class SkipReason(enum.Enum):
    """Why a pod is left as it is: a code for metrics, a sentence for people."""

    NOT_ASKED = "the pod does not ask for injection"
    ALREADY_INJECTED = "the pod is injected already"
    NOT_A_CREATION = "only the creation of pods is changed"

    @property
    def code(self) -> str:
        """The reason as a label: ``not_asked``."""
        return self.name.lower()


@attrs.frozen
class Skip:
    """Leave the pod as it is."""

    reason: SkipReason


@attrs.frozen
class Deny:
    """Refuse the pod: what it asks for cannot work."""

    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...] = ()


@attrs.frozen
class Inject:
    """Change the pod so that the plan is carried out in it."""

    plan: Plan
    request: InjectionRequest
    volumes: tuple[Volume, ...]
    variables: tuple[Variables, ...]
    identity: Identity
    resources: Json
    """Requests and limits of the agent's containers."""
    warnings: tuple[Problem, ...] = ()

    @property
    def native(self) -> bool:
        """Whether the sidecar is an init container with ``restartPolicy: Always`` (KEP-753, Kubernetes 1.29)."""
        return self.request.sidecar != "classic"

    @property
    def written_volumes(self) -> tuple[str, ...]:
        """Names of the memory volumes that the agent writes."""
        return (*(item.name for item in self.volumes), *(item.name for item in self.variables))


Decision = Skip | Deny | Inject


def decide_pod(pod: Pod, settings: Settings, namespace: str) -> Decision:
    """Say what to do with *pod*, and why."""
    try:
        if not wants_injection(pod.annotations):
            return Skip(SkipReason.NOT_ASKED)
        if any(container.name in {INIT_NAME, SIDECAR_NAME} for container in pod.containers()):
            return Skip(SkipReason.ALREADY_INJECTED)
        request = _request(frozenset(pod.annotations.items()), settings, namespace)
    except AnnotationsError as error:
        return Deny(error.problems, error.warnings)
    candidate = Candidate(request, pod, settings, namespace)
    problems = rules.problems(candidate)
    volumes = lay_out(request, pod, problems)
    variables = environment.variables(request, pod, settings, problems)
    groups: tuple[Volume | Variables, ...] = (*volumes, *variables)
    receivers = {container.name: container for group in groups for container in group.containers}
    identity = identify(request, pod, receivers.values())
    lines = agent_resources(request, settings, pod, problems)
    if problems:
        return Deny(tuple(problems), request.warnings)
    plan = _plan(request, volumes, variables, identity)
    warnings = warnings_for(candidate, identity=identity, lines=lines)
    return Inject(plan, request, volumes, variables, identity, lines, warnings)


@lru_cache(maxsize=512)
def _request(annotations: frozenset[tuple[str, str]], settings: Settings, namespace: str) -> InjectionRequest:
    """Read annotations; the pods of a workload come in numbers and have the same."""
    return parse_request(dict(annotations), settings.defaults.within(namespace))


def _plan(
    request: InjectionRequest, volumes: tuple[Volume, ...], variables: tuple[Variables, ...], identity: Identity
) -> Plan:
    source = request.credentials
    return Plan(
        environments=tuple(group.environment(identity.mode) for group in variables),
        directories=tuple(_directory(volume, identity) for volume in volumes),
        kubernetes_secrets=request.kubernetes_secrets,
        credentials=FileCredentials() if isinstance(source, SecretCredentials) else source,
        ca_file=paths.CA_PATH if request.ca else None,
        refresh_interval=request.refresh_interval,
        fail_on_error=request.fail_on_error,
        strict_lookup=request.strict_lookup,
        on_removal="remove" if request.on_removal == "remove" else "keep",
        volume_size=request.volume_size,
        notify=request.notify,
        metrics_port=request.metrics_port,
    )


def _directory(volume: Volume, identity: Identity) -> Directory:
    files = [item for item in volume.items if isinstance(item, SecretFile)]
    folders = [item for item in volume.items if isinstance(item, FolderFiles)]
    return Directory(
        path=f"{paths.VOLUMES_PATH}/{volume.name}",
        target=volume.directory,
        files=tuple(
            FileItem(
                below(file.path, volume.directory),
                file.sources,
                file.content,
                identity.mode if file.mode is None else file.mode,
            )
            for file in files
        ),
        folders=tuple(
            FolderItem(
                item.folder,
                identity.mode,
                item.format,
                item.recursive,
                below(item.directory, volume.directory),
            )
            for item in folders
        ),
    )
