"""The plan: everything that the agent of one pod does, as values. It contains no secret.

The metadata of each field declares its JSON form, which :mod:`keeper_injector_common.plan.wire` reads and writes.
"""

from __future__ import annotations

from typing import Literal

import attrs

from keeper_injector_common.plan.attrs_codec import inline, object_of, wire
from keeper_injector_common.plan.codec import BOOLEAN, array, choice
from keeper_injector_common.plan.credentials import CREDENTIALS, CloudCredentials, FileCredentials
from keeper_injector_common.plan.delivery import (
    DEFAULT_FORMAT,
    FORMATS,
    ON_REMOVAL,
    Content,
    Formatted,
    KubernetesSecret,
    Notify,
    OnRemoval,
    Restart,
    RestartAll,
    Templated,
)
from keeper_injector_common.plan.paths import STATE_PATH
from keeper_injector_common.plan.scalars import (
    ABSOLUTE_PATH,
    FILE_MODE,
    FOLDER,
    PORT,
    REFERENCE,
    RELATIVE_PATH,
    SECONDS,
    TEXT,
    VARIABLE_NAME,
    VARIABLE_PREFIX,
    VOLUME_BYTES,
    WHOLE_RECORD,
)
from keeper_injector_common.references import RecordName, Reference, WholeRecord


@attrs.frozen
class FileItem:
    """One file of a directory."""

    name: str = attrs.field(
        metadata=wire("name", RELATIVE_PATH, "Path below the directory; `/` separates sub-directories.")
    )
    sources: tuple[Reference, ...] = attrs.field(
        metadata=wire("sources", array(REFERENCE, least=1), "References to the records and parts of records.")
    )
    content: Content = attrs.field(metadata=inline(Templated, Formatted))
    mode: int = attrs.field(metadata=wire("mode", FILE_MODE, "Mode of the file, in octal digits."))


@attrs.frozen
class FolderItem:
    """One file for each record of a folder, named after the records."""

    folder: RecordName = attrs.field(metadata=wire("folder", FOLDER, "Path of the folder by names, or its UID."))
    mode: int = attrs.field(metadata=wire("mode", FILE_MODE, "Mode of the files, in octal digits."))
    format: str = attrs.field(
        default=DEFAULT_FORMAT, metadata=wire("format", choice(*FORMATS), "Format of the files.", required=True)
    )
    recursive: bool = attrs.field(
        default=False, metadata=wire("recursive", BOOLEAN, "Include the folders below this folder.")
    )
    below: str = attrs.field(
        default="",
        metadata=wire("below", RELATIVE_PATH, "Sub-directory for the files; the directory itself if left out."),
    )


@attrs.frozen
class Directory:
    """A memory volume that receives files. Its files change together."""

    path: str = attrs.field(metadata=wire("path", ABSOLUTE_PATH, "Where the agent mounts the volume."))
    target: str = attrs.field(
        metadata=wire("target", ABSOLUTE_PATH, "Where the application mounts the volume, for messages.")
    )
    files: tuple[FileItem, ...] = attrs.field(
        default=(), metadata=wire("files", array(object_of(FileItem)), "Files of records.")
    )
    folders: tuple[FolderItem, ...] = attrs.field(
        default=(), metadata=wire("folders", array(object_of(FolderItem)), "Files of folders.")
    )


@attrs.frozen
class VariableItem:
    """One environment variable whose name is set."""

    name: str = attrs.field(metadata=wire("name", VARIABLE_NAME, "Name of the variable."))
    source: Reference = attrs.field(metadata=wire("source", REFERENCE, "Reference to its value."))


@attrs.frozen
class RecordVariablesItem:
    """Environment variables named after the fields of a record."""

    source: WholeRecord = attrs.field(metadata=wire("source", WHOLE_RECORD, "Reference to the record."))
    prefix: str = attrs.field(default="", metadata=wire("prefix", VARIABLE_PREFIX, "Prefix of the names."))
    fields: tuple[str, ...] = attrs.field(
        default=(), metadata=wire("fields", array(TEXT), "Only these fields; all of them if left out.")
    )


@attrs.frozen
class Environment:
    """A memory volume with the environment variables of some containers."""

    path: str = attrs.field(metadata=wire("path", ABSOLUTE_PATH, "Where the agent mounts the volume."))
    style: Literal["exec", "file-ref"] = attrs.field(
        metadata=wire(
            "style",
            choice("exec", "file-ref"),
            "Who reads the variables: `exec` is `keeper-exec`, which is in the same volume; `file-ref` is the kubelet "
            "(EnvFiles, KEP-3721).",
        )
    )
    mode: int = attrs.field(metadata=wire("mode", FILE_MODE, "Mode of the file, in octal digits."))
    variables: tuple[VariableItem, ...] = attrs.field(
        default=(), metadata=wire("variables", array(object_of(VariableItem)), "Variables whose names are set.")
    )
    records: tuple[RecordVariablesItem, ...] = attrs.field(
        default=(),
        metadata=wire("records", array(object_of(RecordVariablesItem)), "Variables named after the fields of records."),
    )


@attrs.frozen(kw_only=True)
class Plan:
    """Everything that the agent of one pod must know."""

    credentials: FileCredentials | CloudCredentials = attrs.field(
        factory=FileCredentials,
        metadata=wire("credentials", CREDENTIALS, "Where the KSM configuration is.", required=True),
    )
    state: str = attrs.field(
        default=STATE_PATH, metadata=wire("state", ABSOLUTE_PATH, "Directory for the agent's state.", required=True)
    )
    refresh_interval: float = attrs.field(
        metadata=wire("refreshInterval", SECONDS, "Seconds from one refresh to the next.")
    )
    fail_on_error: bool = attrs.field(
        metadata=wire("failOnError", BOOLEAN, "Fail the start if a secret is unavailable.")
    )
    ca_file: str | None = attrs.field(
        default=None, metadata=wire("caFile", ABSOLUTE_PATH, "File with an additional CA certificate.")
    )
    proxy_file: str | None = attrs.field(
        default=None, metadata=wire("proxyFile", ABSOLUTE_PATH, "File with the URL of the proxy to Keeper.")
    )
    strict_lookup: bool = attrs.field(
        default=False, metadata=wire("strictLookup", BOOLEAN, "Treat a title that several records have as an error.")
    )
    on_removal: OnRemoval = attrs.field(
        default="keep",
        metadata=wire("onRemoval", choice(*ON_REMOVAL), "What happens to the files and variables of removed records."),
    )
    metrics_port: int | None = attrs.field(
        default=None, metadata=wire("metricsPort", PORT, "Port for metrics; no metrics if left out.")
    )
    volume_size: int = attrs.field(
        metadata=wire("volumeSize", VOLUME_BYTES, "Bytes of each memory volume, for messages.")
    )
    notify: Notify | None = attrs.field(
        default=None, metadata=wire("notify", object_of(Notify), "How the application learns of a change.")
    )
    restart: Restart | None = attrs.field(
        default=None, metadata=wire("restart", object_of(Restart), "Which containers restart after a change.")
    )
    restart_all: RestartAll | None = attrs.field(
        default=None,
        metadata=wire("restartAll", object_of(RestartAll), "When all containers restart after a change."),
    )
    directories: tuple[Directory, ...] = attrs.field(
        default=(), metadata=wire("directories", array(object_of(Directory)), "Volumes with files.")
    )
    environments: tuple[Environment, ...] = attrs.field(
        default=(), metadata=wire("environments", array(object_of(Environment)), "Volumes with environment variables.")
    )
    kubernetes_secrets: tuple[KubernetesSecret, ...] = attrs.field(
        default=(),
        metadata=wire("kubernetesSecrets", array(object_of(KubernetesSecret)), "Kubernetes Secrets to write."),
    )

    def references(self) -> tuple[Reference, ...]:
        """Return every reference of the plan; folders are not references."""
        return (
            *(source for directory in self.directories for file in directory.files for source in file.sources),
            *(item.source for environment in self.environments for item in environment.variables),
            *(item.source for environment in self.environments for item in environment.records),
            *(source for secret in self.kubernetes_secrets for source in secret.sources),
        )

    def has_templates(self) -> bool:
        """Return whether a file is rendered from a template."""
        return any(isinstance(file.content, Templated) for directory in self.directories for file in directory.files)

    def folders(self) -> tuple[FolderItem, ...]:
        """Return every folder of the plan."""
        return tuple(folder for directory in self.directories for folder in directory.folders)
