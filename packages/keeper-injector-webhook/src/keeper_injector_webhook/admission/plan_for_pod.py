"""Builds the agent's plan for one pod from the request, the volumes, the variables and the agent's identity."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from keeper_injector_common.annotations.directories import below
from keeper_injector_common.annotations.identity import Identity
from keeper_injector_common.annotations.request import (
    FolderFiles,
    InjectionRequest,
    PodSettings,
    SecretCredentials,
    SecretFile,
)
from keeper_injector_common.plan import paths
from keeper_injector_common.plan.credentials import FileCredentials
from keeper_injector_common.plan.delivery import Restart
from keeper_injector_common.plan.model import Directory, FileItem, FolderItem, Plan
from keeper_injector_webhook.admission.environment import Variables
from keeper_injector_webhook.admission.restart_all import restart_all_plan
from keeper_injector_webhook.admission.volumes import Volume

_UNCHANGED = [name for name in attrs.fields_dict(PodSettings) if name in attrs.fields_dict(Plan)]
"""Settings that travel from the annotations to the agent as they are: request and plan have them under the same name."""


def build_plan(
    request: InjectionRequest,
    volumes: Sequence[Volume],
    variables: Sequence[Variables],
    identity: Identity,
    restart: Restart | None = None,
) -> Plan:
    """Return the plan that the agent reads in the pod."""
    source = request.credentials
    return Plan(
        environments=tuple(group.environment(identity.mode) for group in variables),
        directories=tuple(_directory(volume, identity) for volume in volumes),
        kubernetes_secrets=request.kubernetes_secrets,
        credentials=FileCredentials() if isinstance(source, SecretCredentials) else source,
        ca_file=paths.CA_PATH if request.ca else None,
        proxy_file=paths.PROXY_PATH if request.proxy else None,
        notify=request.notify,
        restart=restart,
        restart_all=restart_all_plan(request),
        **{name: getattr(request, name) for name in _UNCHANGED},
    )


def _directory(volume: Volume, identity: Identity) -> Directory:
    return Directory(
        path=f"{paths.VOLUMES_PATH}/{volume.name}",
        target=volume.directory,
        files=tuple(
            FileItem(
                below(item.path, volume.directory),
                item.sources,
                item.content,
                identity.mode if item.mode is None else item.mode,
            )
            for item in volume.items
            if isinstance(item, SecretFile)
        ),
        folders=tuple(
            FolderItem(
                folder=item.folder,
                mode=identity.mode,
                format=item.format,
                recursive=item.recursive,
                below=below(item.directory, volume.directory),
            )
            for item in volume.items
            if isinstance(item, FolderFiles)
        ),
    )
