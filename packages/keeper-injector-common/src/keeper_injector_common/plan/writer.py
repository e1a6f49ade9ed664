"""A plan → its JSON form, version 1, which the webhook writes into an annotation; :mod:`~keeper_injector_common.plan.reader` reads it."""

from __future__ import annotations

import json
from typing import Any

from keeper_injector_common.json_values import Json
from keeper_injector_common.plan.credentials import (
    AwsCredentials,
    AzureCredentials,
    CloudCredentials,
    FileCredentials,
    GcpCredentials,
)
from keeper_injector_common.plan.delivery import Content, KubernetesSecret, Templated
from keeper_injector_common.plan.model import (
    VERSION,
    Directory,
    Environment,
    FileItem,
    Plan,
)


def dumps(plan: Plan) -> str:
    """Return *plan* as compact JSON with its keys in a fixed order: equal plans give equal texts."""
    return json.dumps(to_json(plan), ensure_ascii=False, separators=(",", ":"))


def to_json(plan: Plan) -> Json:
    """Return *plan* as JSON values; what equals its default is left out."""
    return {
        "version": VERSION,
        "credentials": _credentials_json(plan.credentials),
        "state": plan.state,
        "refreshInterval": plan.refresh_interval,
        "failOnError": plan.fail_on_error,
        **_given(
            caFile=plan.ca_file,
            strictLookup=plan.strict_lookup,
            onRemoval=None if plan.on_removal == "keep" else plan.on_removal,
            metricsPort=plan.metrics_port,
        ),
        "volumeSize": plan.volume_size,
        **_given(
            notify=plan.notify and _given(signal=plan.notify.signal, process=plan.notify.process, url=plan.notify.url),
            directories=[_directory_json(item) for item in plan.directories],
            environments=[_environment_json(item) for item in plan.environments],
            kubernetesSecrets=[_secret_json(item) for item in plan.kubernetes_secrets],
        ),
    }


def item_key(item: FileItem) -> str:
    """Return a text that differs between items that would make different files of the same records."""
    return json.dumps(_file_json(item))


def _given(**items: Any) -> Json:
    return {key: value for key, value in items.items() if value}


def _content_json(content: Content) -> Json:
    if isinstance(content, Templated):
        return {"template": content.source}
    return {"format": content.format, **_given(fields=list(content.fields))}


def _file_json(file: FileItem) -> Json:
    return {
        "name": file.name,
        "sources": list(map(str, file.sources)),
        **_content_json(file.content),
        "mode": f"{file.mode:04o}",
    }


def _directory_json(directory: Directory) -> Json:
    return {
        "path": directory.path,
        "target": directory.target,
        **_given(
            files=[_file_json(file) for file in directory.files],
            folders=[
                {
                    "folder": str(folder.folder),
                    "mode": f"{folder.mode:04o}",
                    "format": folder.format,
                    **_given(recursive=folder.recursive, below=folder.below),
                }
                for folder in directory.folders
            ],
        ),
    }


def _environment_json(environment: Environment) -> Json:
    return {
        "path": environment.path,
        "style": environment.style,
        "mode": f"{environment.mode:04o}",
        **_given(
            variables=[{"name": item.name, "source": str(item.source)} for item in environment.variables],
            records=[
                {"source": str(item.source), **_given(prefix=item.prefix, fields=list(item.fields))}
                for item in environment.records
            ],
        ),
    }


def _secret_json(secret: KubernetesSecret) -> Json:
    return {
        "where": secret.where,
        "name": secret.name,
        "sources": list(map(str, secret.sources)),
        "type": secret.type,
        "mode": secret.mode,
        "ownerReference": secret.owner_reference,
        **_given(keys=dict(secret.keys), rotation=secret.rotation),
    }


def _credentials_json(credentials: FileCredentials | CloudCredentials) -> Json:
    if isinstance(credentials, FileCredentials):
        return {"method": "secret", "path": credentials.path}
    place = ""
    match credentials:
        case AwsCredentials(region=region):
            place = region
        case AzureCredentials(vault=vault):
            place = vault
        case GcpCredentials():
            pass
    return {"method": credentials.method, "secret": credentials.secret, **_given(place=place)}
