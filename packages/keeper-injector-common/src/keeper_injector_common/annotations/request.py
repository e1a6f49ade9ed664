"""What a pod asks for, as values: the injection request and its parts.

The defaults of annotations are not here, but in the table of annotations.
"""

from __future__ import annotations

from typing import Literal

import attrs

from keeper_injector_common.annotations.table import BY_NAME
from keeper_injector_common.errors import Problem
from keeper_injector_common.plan.credentials import CloudCredentials
from keeper_injector_common.plan.delivery import (
    DEFAULT_FORMAT,
    FORMAT_BY_SUFFIX,
    FORMATS,
    Content,
    Formatted,
    KubernetesSecret,
    Notify,
    OnRemoval,
    file_name,
    suffix_of,
)
from keeper_injector_common.references import FieldValue, FileContent, RecordName, RecordText, Reference, WholeRecord

DEFAULT_DIRECTORY: str = BY_NAME["folder-output-path"].default_value
"""Directory of the files that set no path."""


Containers = tuple[str, ...] | None
"""Names of containers. None means every container that receives anything."""


@attrs.frozen
class SecretFile:
    """One file with the content of a record, a field or an attachment, or with the output of a template."""

    where: str
    """The annotation that asks for the file, with the path inside the YAML document; for messages."""
    sources: tuple[Reference, ...] = attrs.field(validator=attrs.validators.min_len(1))
    """One reference, or several for a template."""
    path: str
    """Absolute path in the application's containers."""
    content: Content
    mode: int | None = None
    """Mode of the file. None means that of the request."""
    containers: Containers = None
    variable_prefix: str | None = None
    """Prefix of the variables of the same secret. None means that of the request."""


@attrs.frozen
class FolderFiles:
    """One file for each record of a folder."""

    where: str
    """The annotation that asks for the files, with the path inside the YAML document; for messages."""
    folder: RecordName
    """Path of the folder by names, or its UID as the only part."""
    directory: str
    """Absolute path in the application's containers."""
    recursive: bool = False
    """Whether to include the folders below the folder."""
    format: str = DEFAULT_FORMAT
    containers: Containers = None


@attrs.frozen
class Variable:
    """One environment variable whose name is known when the pod is created."""

    where: str
    """The annotation that asks for the variable; for messages."""
    name: str
    source: Reference
    containers: Containers = None


@attrs.frozen
class RecordVariables:
    """Environment variables that are named after the fields of a record."""

    where: str
    """The annotation that asks for the variables, with the path inside the YAML document; for messages."""
    source: WholeRecord
    prefix: str = ""
    fields: tuple[str, ...] = ()
    """Only these fields. If empty, all fields; their names are then known only when the agent has fetched the record."""
    containers: Containers = None


@attrs.frozen
class SecretCredentials:
    """The KSM configuration is in a Kubernetes Secret of the pod's namespace."""

    name: str


Credentials = SecretCredentials | CloudCredentials


@attrs.frozen
class AdditionalCa:
    """A CA certificate in a Secret or ConfigMap of the pod's namespace."""

    kind: Literal["secret", "configmap"]
    name: str
    key: str
    """Key of the Secret or ConfigMap."""


@attrs.frozen
class ProxySecret:
    """A Secret of the pod's namespace that contains the URL of a proxy, with user and password."""

    name: str
    key: str


@attrs.frozen(kw_only=True)
class Resources:
    """Requests and limits of the agent's containers, as Kubernetes quantities.

    Each attribute holds the annotation of the same name, ``agent-requests-cpu`` for example. None means the chart's amount,
    and ``none`` means no amount.
    """

    requests_cpu: str | None
    requests_memory: str | None
    limits_cpu: str | None
    limits_memory: str | None


@attrs.frozen(kw_only=True)
class PodSettings:
    """Settings of one pod. Each attribute holds the value of the annotation of the same name.

    ``refresh_interval`` is the value of ``keeper.security/refresh-interval``, for example. If the annotation is missing, it is
    the default in the table of annotations, and None if there is no default. A setting that the plan has under the same name
    travels to the agent as it is.
    """

    refresh_interval: float
    """Seconds."""
    init_only: bool
    fail_on_error: bool
    strict_lookup: bool
    on_removal: OnRemoval
    containers: Containers
    init_first: bool
    sidecar: Literal["auto", "native", "classic"]
    volume_size: int
    """Bytes."""
    file_mode: int | None
    run_as_user: int | None
    run_as_group: int | None
    agent_image: str | None
    log_level: str
    metrics_port: int | None
    env_mode: Literal["auto", "exec", "env-files"]
    on_change: Literal["none", "restart", "restart-all"]
    restart_spread: float
    """Seconds."""
    restart_min_interval: float
    """Seconds."""


@attrs.frozen(kw_only=True)
class InjectionRequest(PodSettings):
    """Everything that a pod's annotations ask for."""

    files: tuple[SecretFile, ...]
    folders: tuple[FolderFiles, ...]
    variables: tuple[Variable | RecordVariables, ...]
    kubernetes_secrets: tuple[KubernetesSecret, ...]
    credentials: Credentials
    ca: AdditionalCa | None
    proxy: ProxySecret | None
    notify: Notify | None
    resources: Resources
    warnings: tuple[Problem, ...]
    """Problems of severity ``WARNING``."""


def format_for(path: str, source: Reference) -> str:
    """Return the format of a file that sets none: ``raw`` for a single value, otherwise by the suffix of *path*, otherwise JSON."""
    if not isinstance(source, WholeRecord):
        return "raw"
    return FORMAT_BY_SUFFIX.get(suffix_of(path), DEFAULT_FORMAT)


def chosen_sources(sources: tuple[Reference, ...], content: Content | None) -> tuple[Reference, ...]:
    """Return the values that a Kubernetes Secret gets from *sources*: only the fields that *content* lists, if it lists some."""
    fields = content.fields if isinstance(content, Formatted) else ()
    if not fields:
        return sources
    return tuple(FieldValue(source.record, field) for source in sources for field in fields)


def default_path(source: Reference, name: str = "") -> str:
    """Return the path of a file that sets none.

    A record is written to ``/keeper/secrets/<title>.json`` and an attachment to ``/keeper/secrets/<file>``. A single value is
    written to ``/keeper/secrets/<name>``, where *name* is the part of the annotation after ``secret-``.
    """
    match source:
        case WholeRecord(record):
            name = f"{file_name(record.parts[-1])}{FORMATS[DEFAULT_FORMAT]}"
        case FileContent(_, file):
            name = file_name(file)
        case FieldValue(field=field):
            name = file_name(name or field)
        case RecordText(which=which):
            name = file_name(name or which)
    return f"{DEFAULT_DIRECTORY}/{name}"
