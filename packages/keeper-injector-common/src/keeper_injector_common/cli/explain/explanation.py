"""A workload → what its annotations will do, as a tree of sentences; no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from keeper_injector_common.annotations.directories import Item, by_directory, directory_of, receives
from keeper_injector_common.annotations.identity import Identity, derive
from keeper_injector_common.annotations.parser import NO_DEFAULTS, parse_request, wants_injection
from keeper_injector_common.annotations.policy import NO_POLICY, Policy
from keeper_injector_common.annotations.request import (
    Credentials,
    FolderFiles,
    InjectionRequest,
    PodSettings,
    RecordVariables,
    SecretCredentials,
    Variable,
)
from keeper_injector_common.annotations.table import BY_NAME, PREFIX
from keeper_injector_common.cli.checks import non_string_annotations
from keeper_injector_common.cli.console import visible
from keeper_injector_common.cli.manifests import Workload
from keeper_injector_common.errors import AnnotationsError, Problem
from keeper_injector_common.parsers import binary_quantity
from keeper_injector_common.plan.credentials import AwsCredentials, AzureCredentials, GcpCredentials
from keeper_injector_common.plan.delivery import Formatted
from keeper_injector_common.references import FileContent


@attrs.frozen
class Node:
    """A line of the explanation, and the lines below it."""

    text: str
    children: tuple[Node, ...] = ()
    color: str = ""
    """The colour of the text on a terminal, see :func:`~keeper_injector_common.cli.console.colored`; may be empty."""


@attrs.frozen
class _Container:
    """A container of the pod template. If the manifest has no containers, one without a name represents all of them."""

    name: str
    manifest: Mapping[str, Any] = attrs.field(factory=dict, repr=False)

    def receives(self, item: Item | Variable | RecordVariables, request: InjectionRequest) -> bool:
        return not self.name or receives(self.name, item.containers, request.containers)


def explain_workload(
    workload: Workload,
    defaults: Mapping[str, str] = NO_DEFAULTS,
    policy: Policy = NO_POLICY,
    warnings: Sequence[Problem] = (),
) -> Node:
    """Return what the annotations of *workload* will do; raise AnnotationsError if they are invalid.

    *warnings* are those of the webhook, beside those of the annotations.
    """
    if problems := non_string_annotations(workload):
        raise AnnotationsError(problems)
    if not wants_injection(workload.annotations):
        return Node(workload.label, (Node(f'not injected: its pods do not have {PREFIX}inject: "true"'),))
    request = parse_request(workload.annotations, defaults, policy)
    containers = _containers(workload)
    asked = (*request.files, *request.folders, *request.variables)
    receivers = [item for item in containers if any(item.receives(one, request) for one in asked)]
    identity, owner = _identity(request, _object(workload.pod_spec, "securityContext"), receivers)
    return Node(
        workload.label,
        (
            *(Node(f"warning: {warning}", color="yellow") for warning in dict.fromkeys((*request.warnings, *warnings))),
            *_policy(policy),
            *_sources(request),
            _added_containers(request, identity),
            *(_container(item, request, identity, owner) for item in receivers),
            *_kubernetes_secrets(request),
            *_settings(workload, request, defaults),
            *_changes(request),
        ),
    )


def _containers(workload: Workload) -> Sequence[_Container]:
    """Return the containers of the pod template: init containers first, in the order in which they start."""
    return [_Container(str(item["name"]), item) for item in workload.containers()] or [_Container("")]


def _identity(
    request: InjectionRequest, pod: Mapping[str, Any], receivers: Sequence[_Container]
) -> tuple[Identity, str]:
    """Return the agent's identity, as the webhook derives it, and the owner of its files in the form of ``ls -n``."""
    contexts = [{**pod, **_object(item.manifest, "securityContext")} for item in receivers]
    users, groups = ([context.get(key) for context in contexts] for key in ("runAsUser", "runAsGroup"))
    fs_group = pod.get("fsGroup")
    found = derive(request, users, groups, fs_group=fs_group)
    return found, f"{found.uid}:{found.gid if fs_group is None else fs_group}"


def _object(parent: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = parent.get(key)
    return {name: item for name, item in value.items() if item is not None} if isinstance(value, dict) else {}


def _describe_credentials(credentials: Credentials) -> str:
    match credentials:
        case SecretCredentials(name):
            return f"key config of Secret {name}, which only the agent can read"
        case AwsCredentials(secret):
            return f"AWS secret {secret}, read with the pod's cloud identity"
        case GcpCredentials(secret):
            return f"Google Cloud secret {secret}, read with the pod's cloud identity"
        case AzureCredentials(secret=secret, vault=vault):
            return f"secret {secret} in Azure vault {vault}, read with the pod's cloud identity"


def _policy(policy: Policy) -> Iterator[Node]:
    rules = tuple(map(Node, policy.describe()))
    if rules:
        yield Node("policy of the cluster", (*rules, *([Node(policy.contact)] if policy.contact else [])))


def _sources(request: InjectionRequest) -> Iterator[Node]:
    yield Node(f"KSM configuration: {_describe_credentials(request.credentials)}")
    schedule = (
        "once, when the pod starts"
        if request.init_only
        else f"when the pod starts and every {_duration(request.refresh_interval)} (±10 %)"
    )
    requests = ["one request for all records"]
    if request.folders or any(len(source.record.parts) > 1 for file in request.files for source in file.sources):
        requests.append("one for the folders")
    if any(isinstance(source, FileContent) for file in request.files for source in file.sources):
        requests.append("one download for each changed attachment")
    yield Node(f"secrets are fetched from Keeper {schedule}: {', '.join(requests)}")


def _added_containers(request: InjectionRequest, identity: Identity) -> Node:
    init = "an init container" + ("" if request.init_first else " (after the pod's own)")
    sidecars = {"native": "a native sidecar", "classic": "an ordinary container as a sidecar"}
    added = init if request.init_only else f"{init} and {sidecars.get(request.sidecar, 'a sidecar')}"
    unknown = "; the manifest does not set the application's user, or sets root"
    return Node(
        f"added: {added}, running as user {identity.uid} and group {identity.gid}" + ("" if identity.known else unknown)
    )


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
                    f"{directory}  new memory volume of at most {size}, read-only; what the image has there is hidden",
                    _aligned(_file(items[number], identity, owner) for number in numbers),
                )
                for directory, numbers in volumes.items()
            ),
            *_variables([item for item in request.variables if container.receives(item, request)]),
        ),
        "bold",
    )


def _file(item: Item, identity: Identity, owner: str) -> tuple[str, ...]:
    """Return the path of a file, its mode, its owner and its content."""
    if isinstance(item, FolderFiles):
        deep = " and its subfolders" if item.recursive else ""
        what = f"one {item.format} file for each record in folder {item.folder.title}{deep}"
        return f"{item.directory}/", f"{identity.mode:04o}", owner, what
    kind, chosen = "template", ""
    if isinstance(item.content, Formatted):
        kind, chosen = item.content.format, _chosen(item.content)
    mode = identity.mode if item.mode is None else item.mode
    return item.path, f"{mode:04o}", owner, f"{kind} of {chosen}{' and '.join(map(str, item.sources))}"


def _aligned(rows: Iterable[tuple[str, ...]]) -> tuple[Node, ...]:
    """Return a line for each row, with its columns below each other."""
    shown = [tuple(map(visible, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    return tuple(
        Node("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()) for row in shown
    )


def _chosen(content: Formatted) -> str:
    """Return the fields that the file has, and their names if they are others; empty for all fields."""
    named = [f"{field} as {name}" for field, name in content.keys.items()]
    fields = ", ".join(named or content.fields)
    return f"{fields} from " if fields else ""


def _variables(items: Sequence[Variable | RecordVariables]) -> Iterator[Node]:
    if items:
        yield Node("environment variables, set when the container starts", _aligned(map(_variable, items)))


def _variable(item: Variable | RecordVariables) -> tuple[str, ...]:
    if isinstance(item, Variable):
        return f"${item.name}", str(item.source)
    fields = ", ".join(item.fields) or "every field"
    return f"${item.prefix}…", f"{fields} of {item.source}"


def _kubernetes_secrets(request: InjectionRequest) -> Iterator[Node]:
    for secret in request.kubernetes_secrets:
        yield Node(
            f"Kubernetes Secret {secret.name} ({secret.type}, {secret.mode}), written with the pod's service account"
        )


def _settings(workload: Workload, request: InjectionRequest, defaults: Mapping[str, str]) -> Iterator[Node]:
    """Name every setting that is not the default, so that the explanation misses none."""
    changed = []
    for attribute in attrs.fields_dict(PodSettings):
        name = attribute.replace("_", "-")
        value = getattr(request, attribute)
        if value != BY_NAME[name].default_value:
            text = workload.annotations.get(PREFIX + name) or defaults.get(name) or value
            changed.append(f"{name} {text}")
    if changed:
        yield Node(f"settings other than the default: {'; '.join(changed)}")


def _changes(request: InjectionRequest) -> Iterator[Node]:
    """Say what happens on rotation."""
    if request.init_only:
        yield Node("when a secret changes in Keeper, only new pods receive it (init-only)", color="bold")
        return
    effects = []
    if request.files or request.folders:
        effects.append(("files", "all are replaced together, without a restart; the application must read them again"))
    if request.variables:
        effects.append(("variables", "do not change until the container restarts"))
    effects += _restarts(request)
    if request.notify and request.notify.signal:
        receiver = (
            f"processes named {request.notify.process}"
            if request.notify.process
            else "the main process of each container"
        )
        effects.append(("signal", f"{request.notify.signal} to {receiver}, which must run as the agent's user"))
    if request.notify and request.notify.url:
        effects.append(("notify-url", f"POST {request.notify.url}"))
    if not request.notify and (request.files or request.folders):
        effects.append(("notification", "none; to tell the application, set signal or notify-url"))
    if request.on_removal == "remove":
        effects.append(("removal", "the file and the variables of a record that is gone are removed"))
    heading = f"when a secret changes in Keeper, within {_duration(request.refresh_interval)} (±10 %)"
    yield Node(heading, _aligned(effects), "bold")


def _restarts(request: InjectionRequest) -> Iterator[tuple[str, str]]:
    """Yield what restarts after a change."""
    when = f"within {_duration(request.restart_spread)}, and at most once in {_duration(request.restart_min_interval)}"
    if request.on_change == "restart":
        yield "restart", f"containers that receive the secret, gracefully, {when}"
    elif request.on_change == "restart-all":
        yield "restart", f"all containers, init containers too, without preStop hook and grace period, {when}"


def _duration(seconds: float) -> str:
    whole = int(seconds)
    parts = ((whole // 3600, "h"), (whole % 3600 // 60, "m"), (whole % 60, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number)
