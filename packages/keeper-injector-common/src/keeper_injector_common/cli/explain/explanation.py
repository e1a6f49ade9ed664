"""A workload → what its annotations will do, as a tree of sentences; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from keeper_injector_common.annotations.directories import Item, by_directory, directory_of, receives
from keeper_injector_common.annotations.identity import Identity, derive
from keeper_injector_common.annotations.parser import NO_DEFAULTS, parse_request, wants_injection
from keeper_injector_common.annotations.request import (
    Credentials,
    FolderFiles,
    InjectionRequest,
    RecordVariables,
    SecretCredentials,
    Variable,
)
from keeper_injector_common.annotations.table import PREFIX
from keeper_injector_common.cli.checks import unquoted
from keeper_injector_common.cli.manifests import Workload
from keeper_injector_common.errors import AnnotationsError
from keeper_injector_common.parsers import binary_quantity
from keeper_injector_common.plan.credentials import AwsCredentials, AzureCredentials, GcpCredentials
from keeper_injector_common.plan.delivery import Formatted
from keeper_injector_common.references import FileContent


@attrs.frozen
class Node:
    """A line with lines below it."""

    text: str
    below: tuple[Node, ...] = ()


@attrs.frozen
class _Container:
    """A container of the pods, by name and as written; one without a name stands for those that nobody knows yet."""

    name: str
    raw: Mapping[str, Any] = attrs.field(factory=dict, repr=False)

    def receives(self, item: Item | Variable | RecordVariables, request: InjectionRequest) -> bool:
        return not self.name or receives(self.name, item.containers, request.containers)


def explained(workload: Workload, defaults: Mapping[str, str] = NO_DEFAULTS) -> Node:
    """Return what becomes of a workload; raises AnnotationsError."""
    if no_text := unquoted(workload):
        raise AnnotationsError(no_text)
    if not wants_injection(workload.annotations):
        return Node(workload.label, (Node(f'left alone: {PREFIX}inject: "true" is not on its pods'),))
    request = parse_request(workload.annotations, defaults)
    containers = _containers(workload)
    asked = (*request.files, *request.folders, *request.variables)
    receivers = [item for item in containers if any(item.receives(one, request) for one in asked)]
    identity, owner = _identity(request, _object(workload.pod_spec, "securityContext"), receivers)
    return Node(
        workload.label,
        (
            *(Node(f"warning: {warning}") for warning in request.warnings),
            *_where_from(request),
            *_added(request, identity),
            *(_container(item, request, identity, owner) for item in receivers),
            *_kubernetes_secrets(request),
            *_changes(request),
        ),
    )


def _containers(workload: Workload) -> Sequence[_Container]:
    """Return the pods' containers, init containers first, as they start."""
    return [_Container(str(item["name"]), item) for item in workload.containers()] or [_Container("")]


def _identity(
    request: InjectionRequest, pod: Mapping[str, Any], receivers: Sequence[_Container]
) -> tuple[Identity, str]:
    """Return the agent's identity as the webhook derives it, and the owner of its files as ``ls -n`` shows it."""
    contexts = [{**pod, **_object(item.raw, "securityContext")} for item in receivers]
    users, groups = ([context.get(key) for context in contexts] for key in ("runAsUser", "runAsGroup"))
    fs_group = pod.get("fsGroup")
    found = derive(request, users, groups, fs_group=fs_group)
    return found, f"{found.uid}:{found.gid if fs_group is None else fs_group}"


def _object(parent: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = parent.get(key)
    return {name: item for name, item in value.items() if item is not None} if isinstance(value, dict) else {}


def _place(credentials: Credentials) -> str:
    match credentials:
        case SecretCredentials(name):
            return f"Secret {name}, key config, mounted for the agent alone"
        case AwsCredentials(secret):
            return f"AWS secret {secret}, by the pod's own identity"
        case GcpCredentials(secret):
            return f"Google Cloud secret {secret}, by the pod's own identity"
        case AzureCredentials(secret=secret, vault=vault):
            return f"secret {secret} of Azure vault {vault}, by the pod's own identity"


def _where_from(request: InjectionRequest) -> Iterator[Node]:
    yield Node(f"KSM configuration: {_place(request.credentials)}")
    often = (
        "once, at the start"
        if request.init_only
        else f"at the start and every {_duration(request.refresh_interval)}, ±10 %"
    )
    asked = ["one request for all records"]
    if request.folders or any(len(source.record.parts) > 1 for file in request.files for source in file.sources):
        asked.append("one for the folders")
    if any(isinstance(source, FileContent) for file in request.files for source in file.sources):
        asked.append("one download for each attachment that has changed")
    yield Node(f"Keeper is asked {often}: {', '.join(asked)}")


def _added(request: InjectionRequest, identity: Identity) -> Iterator[Node]:
    first = "an init container" + ("" if request.init_first else " (after the pod's own)")
    kind = {"native": "a native sidecar", "classic": "an ordinary container that stays"}.get(
        request.sidecar, "a sidecar"
    )
    who = f"user {identity.uid} and group {identity.gid}"
    why = "" if identity.known else "; the manifest does not say as whom the application runs, or it runs as root"
    what = f"{first} is added, which runs" if request.init_only else f"{first} and {kind} are added, which run"
    yield Node(f"{what} as {who}{why}")


def _container(container: _Container, request: InjectionRequest, identity: Identity, owner: str) -> Node:
    items: tuple[Item, ...] = (*request.files, *request.folders)
    received = [number for number, item in enumerate(items) if container.receives(item, request)]
    volumes = by_directory([directory_of(item) for item in items], received)
    size = binary_quantity(request.volume_size)
    return Node(
        f"container {container.name}" if container.name else "every container",
        (
            *(
                Node(
                    f"{directory}  memory volume of at most {size}, mounted read-only",
                    tuple(_file(items[number], request, identity, owner) for number in numbers),
                )
                for directory, numbers in volumes.items()
            ),
            *(_variable(item) for item in request.variables if container.receives(item, request)),
        ),
    )


def _file(item: Item, request: InjectionRequest, identity: Identity, owner: str) -> Node:
    if isinstance(item, FolderFiles):
        deep = " and the folders below it" if item.recursive else ""
        what = f"one {item.format} file for each record of folder {item.folder.title}{deep}"
        return Node(f"{item.directory}/  {what}, {identity.mode:04o}, owner {owner}")
    form = item.content.format if isinstance(item.content, Formatted) else "a template"
    mode = identity.mode if item.mode is None else item.mode
    return Node(f"{item.path}  {form} of {' and '.join(map(str, item.sources))}, {mode:04o}, owner {owner}")


def _variable(item: Variable | RecordVariables) -> Node:
    if isinstance(item, Variable):
        return Node(f"${item.name}  {item.source}")
    which = ", ".join(item.fields) or "every field"
    return Node(f"${item.prefix}…  {which} of {item.source}")


def _kubernetes_secrets(request: InjectionRequest) -> Iterator[Node]:
    for secret in request.kubernetes_secrets:
        yield Node(
            f"Kubernetes Secret {secret.name} ({secret.type}, {secret.mode}), written by the pod's own service account"
        )


def _changes(request: InjectionRequest) -> Iterator[Node]:
    if request.init_only:
        yield Node("a change in Keeper is seen by new pods only (init-only)")
        return
    below = []
    if request.files or request.folders:
        below.append(Node("files change together, without a restart; the application must read them again"))
    if request.notify and request.notify.signal:
        whom = (
            f"processes called {request.notify.process}"
            if request.notify.process
            else "the main process of each container"
        )
        below.append(Node(f"{request.notify.signal} goes to {whom}, which must run as the agent's user"))
    if request.notify and request.notify.url:
        below.append(Node(f"POST {request.notify.url}"))
    if request.variables:
        below.append(Node("variables are those of the container's start: restart it to see new ones"))
    if request.on_removal == "remove":
        below.append(Node("the file of a record that is gone is removed"))
    yield Node("after a change in Keeper", tuple(below))


def _duration(seconds: float) -> str:
    whole = int(seconds)
    parts = ((whole // 3600, "h"), (whole % 3600 // 60, "m"), (whole % 60, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number)
