"""What the agent must do, complete and without a secret in it: the values that webhook and agent share.

The JSON form is in ``plan_writer`` and ``plan_reader``. Webhook and agent are released apart and meet at run time, so
the form carries :data:`VERSION`; golden plans of every released version stay among the tests.
"""

from __future__ import annotations

from typing import Literal

import attrs

from keeper_injector_common.plan.credentials import CloudCredentials, FileCredentials
from keeper_injector_common.plan.delivery import Content, KubernetesSecret, Notify
from keeper_injector_common.plan.paths import STATE_PATH
from keeper_injector_common.references import RecordName, Reference, WholeRecord

VERSION = 1


@attrs.frozen
class FileItem:
    """One file of a directory."""

    name: str
    """Path below the directory, with ``/`` where it has sub-directories."""
    sources: tuple[Reference, ...]
    content: Content
    mode: int


@attrs.frozen
class FolderItem:
    """One file for each record of a folder, named after the records."""

    folder: RecordName
    mode: int
    recursive: bool = False
    format: str = "json"
    below: str = ""
    """Sub-directory for the files; empty for the directory itself."""


@attrs.frozen
class Directory:
    """A memory volume that receives files, and changes as a whole."""

    path: str
    """Where the agent has it mounted."""
    target: str
    """Where the application has it mounted; for messages."""
    files: tuple[FileItem, ...] = ()
    folders: tuple[FolderItem, ...] = ()


@attrs.frozen
class VariableItem:
    """One environment variable with a name of its own."""

    name: str
    source: Reference


@attrs.frozen
class RecordVariablesItem:
    """Environment variables named after a record's fields."""

    source: WholeRecord
    prefix: str = ""
    fields: tuple[str, ...] = ()


@attrs.frozen
class Environment:
    """A memory volume with the environment variables of some containers."""

    path: str
    style: Literal["exec", "file-ref"]
    """``exec``: for ``keeper-exec``, which lies beside it; ``file-ref``: for the kubelet (EnvFiles, KEP-3721)."""
    mode: int
    variables: tuple[VariableItem, ...] = ()
    records: tuple[RecordVariablesItem, ...] = ()


@attrs.frozen(kw_only=True)
class Plan:
    """Everything the agent of one pod must know."""

    directories: tuple[Directory, ...] = ()
    environments: tuple[Environment, ...] = ()
    kubernetes_secrets: tuple[KubernetesSecret, ...] = ()
    credentials: FileCredentials | CloudCredentials = attrs.field(factory=FileCredentials)
    ca_file: str | None = None
    state: str = STATE_PATH
    refresh_interval: float = 300.0
    """Seconds."""
    fail_on_error: bool = True
    strict_lookup: bool = False
    on_removal: Literal["keep", "remove"] = "keep"
    volume_size: int = 16 * 1024 * 1024
    """Bytes of each memory volume; for the advice when one is full."""
    notify: Notify | None = None
    metrics_port: int | None = None

    def references(self) -> tuple[Reference, ...]:
        """Return every reference of the plan, folders apart."""
        return (
            *(source for directory in self.directories for file in directory.files for source in file.sources),
            *(item.source for environment in self.environments for item in environment.variables),
            *(item.source for environment in self.environments for item in environment.records),
            *(source for secret in self.kubernetes_secrets for source in secret.sources),
        )

    def folders(self) -> tuple[FolderItem, ...]:
        """Return every folder that the plan asks for."""
        return tuple(folder for directory in self.directories for folder in directory.folders)
