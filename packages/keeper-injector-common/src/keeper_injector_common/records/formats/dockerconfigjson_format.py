"""``dockerconfigjson``: the ``config.json`` with which docker, podman and Kubernetes log in to a registry.

A record with the fields login, password and host::

    {
      "auths": {
        "ghcr.io": {
          "username": "admin",
          "password": "s3cret",
          "auth": "YWRtaW46czNjcmV0"
        }
      }
    }

The user name is the field ``login`` or ``username``, the password is ``password``, and the registry is the first of
``registry``, ``host`` and ``url`` that has a value; ``email`` is optional. A structured host becomes ``name:port``. Docker
Hub is written under the one key that docker looks up. Other fields are left out, because the file has no place for them.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from keeper_injector_common.errors import FormatError
from keeper_injector_common.records.formats.flattening import scalar_text
from keeper_injector_common.records.formats.interface import Format

if TYPE_CHECKING:
    from keeper_injector_common.records.formats.interface import RecordContent
    from keeper_injector_common.records.record import JsonValue

_HUB_NAMES = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io", "hub.docker.com"})
_HUB = "https://index.docker.io/v1/"
"""The key that docker uses for Docker Hub (docker/cli, registry.IndexServer)."""


def _write_docker_config(content: RecordContent) -> bytes:
    user = _field(content, "login", "username")
    password = _field(content, "password")
    if ":" in user:
        raise FormatError(
            f"record {content.title!r}: the login contains ':', which ends the user name in docker's format; use another login"
        )
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    entry = {"username": user, "password": password, "auth": auth}
    if email := _text(content.fields.get("email")):
        entry["email"] = email
    registry = _key(_field(content, "registry", "host", "url"))
    return (json.dumps({"auths": {registry: entry}}, ensure_ascii=False, indent=2) + "\n").encode()


def _field(content: RecordContent, *names: str) -> str:
    for name in names:
        if text := _text(content.fields.get(name)):
            return text
    raise FormatError(
        f"record {content.title!r}: dockerconfigjson needs one value in field {' or '.join(names)}; add it in Keeper"
    )


def _text(value: JsonValue) -> str:
    match value:
        case {"hostName": str(host), "port": str() | int() as port} if host and port:
            return f"{host}:{port}"
        case {"hostName": str(host)}:
            return host
        case dict() | list():
            return ""
        case _:
            return scalar_text(value)


def _key(registry: str) -> str:
    name = registry.removeprefix("https://").split("/", 1)[0]
    return _HUB if name in _HUB_NAMES else registry


FORMAT = Format(
    "dockerconfigjson",
    _write_docker_config,
    "login to a container registry, from login, password and host or url",
)
