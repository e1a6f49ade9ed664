"""What a pod asks for, validated: annotations in, an :class:`InjectionRequest` out, or every problem at once."""

from __future__ import annotations

import posixpath
from typing import Literal

import attrs

from keeper_injector_common.errors import Problem
from keeper_injector_common.parsers import MINUTES
from keeper_injector_common.plan.credentials import CloudCredentials
from keeper_injector_common.plan.delivery import (
    DEFAULT_FORMAT,
    FORMAT_BY_SUFFIX,
    FORMATS,
    Content,
    KubernetesSecret,
    Notify,
    file_name,
)
from keeper_injector_common.references import FieldValue, FileContent, RecordName, RecordText, Reference, WholeRecord

DEFAULT_DIRECTORY = "/keeper/secrets"
DEFAULT_SECRET = "keeper-credentials"  # noqa: S105 - the name of a Secret


Containers = tuple[str, ...] | None
"""Names of containers; None stands for every container that receives anything."""


@attrs.frozen
class SecretFile:
    """One file made of one record, field or attachment, or by a template of several records."""

    where: str
    """The annotation or place in the YAML document that asks for it, for messages."""
    sources: tuple[Reference, ...] = attrs.field(validator=attrs.validators.min_len(1))
    path: str
    content: Content
    mode: int | None = None
    containers: Containers = None


@attrs.frozen
class FolderFiles:
    """One JSON file for each record of a folder."""

    where: str
    folder: RecordName
    """Path of the folder by names, or its UID as the only part."""
    directory: str
    recursive: bool = False
    format: str = DEFAULT_FORMAT
    containers: Containers = None


@attrs.frozen
class Variable:
    """One environment variable with a name that is known at admission."""

    where: str
    name: str
    source: Reference
    containers: Containers = None


@attrs.frozen
class RecordVariables:
    """Environment variables from the fields of a record, named after them."""

    where: str
    source: WholeRecord
    prefix: str = ""
    fields: tuple[str, ...] = ()
    """Only these; all, with names known only at run time, when empty."""
    containers: Containers = None


@attrs.frozen
class SecretCredentials:
    """The KSM configuration lies in a Secret of the pod's namespace."""

    name: str = DEFAULT_SECRET


Credentials = SecretCredentials | CloudCredentials


@attrs.frozen
class AdditionalCa:
    """A CA certificate from a Secret or ConfigMap of the pod's namespace."""

    kind: Literal["secret", "configmap"]
    name: str
    key: str = "ca.crt"


@attrs.frozen
class Resources:
    """Requests and limits of the agent's containers; None: as the chart says, ``none``: no such line."""

    requests_cpu: str | None = None
    requests_memory: str | None = None
    limits_cpu: str | None = None
    limits_memory: str | None = None


@attrs.frozen(kw_only=True)
class InjectionRequest:
    """Everything that a pod's annotations ask for."""

    files: tuple[SecretFile, ...] = ()
    folders: tuple[FolderFiles, ...] = ()
    variables: tuple[Variable | RecordVariables, ...] = ()
    kubernetes_secrets: tuple[KubernetesSecret, ...] = ()
    credentials: Credentials = SecretCredentials()
    ca: AdditionalCa | None = None
    refresh_interval: float = 5 * MINUTES
    init_only: bool = False
    fail_on_error: bool = True
    strict_lookup: bool = False
    notify: Notify | None = None
    on_removal: str = "keep"
    containers: Containers = None
    init_first: bool = True
    sidecar: str = "auto"
    volume_size: int = 16 * 1024 * 1024
    file_mode: int | None = None
    run_as_user: int | None = None
    run_as_group: int | None = None
    agent_image: str | None = None
    resources: Resources = Resources()
    log_level: str = "info"
    metrics_port: int | None = None
    env_mode: str = "auto"
    warnings: tuple[Problem, ...] = ()
    """Problems of severity ``WARNING``, found while reading."""


def format_for(path: str, source: Reference) -> str:
    """Choose the format of a file that names none: raw for one value, else by the path's suffix, else JSON."""
    if not isinstance(source, WholeRecord):
        return "raw"
    return FORMAT_BY_SUFFIX.get(posixpath.splitext(path)[1].lower(), DEFAULT_FORMAT)


def default_path(source: Reference, name: str = "") -> str:
    """Choose where a secret goes that names no path: ``/keeper/secrets/<title>.json``, or *name* for one value."""
    match source:
        case WholeRecord(record):
            return f"{DEFAULT_DIRECTORY}/{file_name(record.parts[-1])}{FORMATS[DEFAULT_FORMAT]}"
        case FileContent(_, file):
            return f"{DEFAULT_DIRECTORY}/{file_name(file)}"
        case FieldValue(field=field):
            return f"{DEFAULT_DIRECTORY}/{file_name(name or field)}"
        case RecordText(which=which):
            return f"{DEFAULT_DIRECTORY}/{file_name(name or which)}"
