"""Writes a decision to inject as JSON: the volumes, the mounts and the agent's containers to add to the pod.

Which container mounts which volume is decided in :mod:`.volumes` and :mod:`.environment`; their names are in :mod:`.names`, and
the paths in the agent's containers in :mod:`keeper_injector_common.plan.paths`.
"""

from __future__ import annotations

import posixpath

from keeper_injector_common.annotations.request import AdditionalCa, InjectionRequest, ProxySecret, SecretCredentials
from keeper_injector_common.annotations.table import PLAN
from keeper_injector_common.json_values import Json
from keeper_injector_common.parsers import binary_quantity
from keeper_injector_common.plan import paths
from keeper_injector_common.plan.wire import digest
from keeper_injector_webhook.admission import environment, names, restarts
from keeper_injector_webhook.admission.decision import Inject
from keeper_injector_webhook.admission.identity import security_context
from keeper_injector_webhook.admission.pod import Container
from keeper_injector_webhook.admission.restart_all import restart_rules
from keeper_injector_webhook.settings import Settings

_TOKEN_SECONDS = 3600
_SECRET_KEY = "config"  # noqa: S105 - the key of the KSM configuration in its Secret
_STATE_SIZE = "4Mi"
_READABLE_BY_AGENT = 0o444
"""The mode of files that the kubelet writes as root. Only the agent's containers, which do not run as root, mount them."""


def _mount(volume: str, path: str) -> Json:
    return {"name": volume, "mountPath": path, "readOnly": True}


_PLAN_DIRECTORY, _PLAN_FILE = posixpath.split(paths.PLAN_PATH)
_CREDENTIALS_DIRECTORY, _CREDENTIALS_FILE = posixpath.split(paths.CREDENTIALS_PATH)
_CA_DIRECTORY, _CA_FILE = posixpath.split(paths.CA_PATH)
_PROXY_DIRECTORY, _PROXY_FILE = posixpath.split(paths.PROXY_PATH)
_PLAN_MOUNT = _mount(names.PLAN_VOLUME, _PLAN_DIRECTORY)
_CREDENTIALS_MOUNT = _mount(names.CREDENTIALS_VOLUME, _CREDENTIALS_DIRECTORY)
_CA_MOUNT = _mount(names.CA_VOLUME, _CA_DIRECTORY)
_PROXY_MOUNT = _mount(names.PROXY_VOLUME, _PROXY_DIRECTORY)
_API_MOUNT = _mount(names.API_VOLUME, paths.ACCOUNT_PATH)
_NO_TOKEN_MOUNT = _mount(names.PLAN_VOLUME, paths.ACCOUNT_PATH)
"""Keeps a service account token out of the agent's containers: after webhooks, API servers mount one into every container that mounts
nothing at this path (ServiceAccount admission). The plan, which the agent may read anyway, is mounted there instead."""


def volumes_to_add(decision: Inject) -> list[Json]:
    """Return the volumes to add to the pod."""
    request = decision.request
    size = binary_quantity(request.volume_size)
    return [
        *(_memory(volume.name, size) for volume in decision.volumes),
        *(_memory(group.name, environment.SIZE) for group in decision.variables),
        *([_memory(names.RESTART_VOLUME, restarts.SIZE)] if decision.restarting else []),
        _memory(names.STATE_VOLUME, _STATE_SIZE),
        {
            "name": names.PLAN_VOLUME,
            "downwardAPI": {
                "items": [{"path": _PLAN_FILE, "fieldRef": {"fieldPath": f"metadata.annotations['{PLAN}']"}}]
            },
        },
        *([_credentials(request.credentials)] if isinstance(request.credentials, SecretCredentials) else []),
        *([_ca(request.ca)] if request.ca else []),
        *([_proxy(request.proxy)] if request.proxy else []),
        *([_api()] if request.kubernetes_secrets else []),
    ]


def agent_containers(decision: Inject, settings: Settings) -> list[Json]:
    """Return the init container, and the sidecar if there is one."""
    init = init_container(decision, settings)
    return [init] if decision.request.init_only else [init, sidecar(init, decision)]


def init_container(decision: Inject, settings: Settings) -> Json:
    """Return the init container, which fetches the secrets before the application starts."""
    request = decision.request
    return {
        "name": names.INIT_CONTAINER,
        "image": request.agent_image or settings.image_for(request.credentials),
        "imagePullPolicy": settings.agent.image.pull_policy,
        "command": [*_command("init", request), *([] if decision.restarts else ["--no-restart"])],
        # Annotations of a running pod can be changed, arguments cannot: the agent refuses any other plan.
        "args": ["--plan-digest", digest(decision.plan_text)],
        **_environment(request, settings),
        "resources": decision.resources,
        "securityContext": security_context(decision.identity),
        "volumeMounts": [
            *({"name": name, "mountPath": f"{paths.VOLUMES_PATH}/{name}"} for name in decision.written_volumes),
            {"name": names.STATE_VOLUME, "mountPath": paths.STATE_PATH},
            _PLAN_MOUNT,
            *([_CREDENTIALS_MOUNT] if isinstance(request.credentials, SecretCredentials) else []),
            *([_CA_MOUNT] if request.ca else []),
            *([_PROXY_MOUNT] if request.proxy else []),
            _API_MOUNT if request.kubernetes_secrets else _NO_TOKEN_MOUNT,
        ],
    }


def sidecar(init: Json, decision: Inject) -> Json:
    """Return the sidecar for an *init* container, which refreshes the secrets: a native sidecar, or with ``sidecar: classic`` an ordinary container.

    A native sidecar always has a startup probe. An API server that does not support ``restartPolicy`` for init containers drops that
    field silently, and the pod would wait indefinitely; because of the probe, it rejects the pod instead. The probe itself waits for
    five seconds, and the kubelet restarts the sidecar if it has not started after about a minute.
    """
    container = {**init, "name": names.SIDECAR, "command": _command("sidecar", decision.request)}
    if decision.native:
        container["restartPolicy"] = "Always"
        container.update(restart_rules(decision.request))
        container["startupProbe"] = {
            "exec": {"command": [names.AGENT_PROGRAM, "ready"]},
            "periodSeconds": 1,
            "failureThreshold": 10,
            "timeoutSeconds": 10,
        }
    port = decision.request.metrics_port
    if port:
        # A declaration only: it tells the scheduler about a port on the node's network, and Prometheus what to scrape.
        container["ports"] = [{"name": names.METRICS_PORT, "containerPort": port, "protocol": "TCP"}]
    return container


def mounts_to_add(decision: Inject) -> dict[Container, list[Json]]:
    """Return the volume mounts to add to the pod's own containers."""
    found: dict[Container, list[Json]] = {}
    for volume in decision.volumes:
        mount = _mount(volume.name, volume.directory)
        for container in volume.containers:
            found.setdefault(container, []).append(mount)
    for group in decision.variables:
        # The kubelet reads file-ref volumes itself, so the container does not mount them.
        mount = _mount(group.name, environment.MOUNT)
        for container in group.containers if group.style == "exec" else ():
            found.setdefault(container, []).append(mount)
    for item in decision.restarting:
        found.setdefault(item.container, []).append(_mount(names.RESTART_VOLUME, restarts.MOUNT))
    return found


def _command(command: str, request: InjectionRequest) -> list[str]:
    return [names.AGENT_PROGRAM, command, "--log-level", request.log_level]


def _environment(request: InjectionRequest, settings: Settings) -> Json:
    """Return the agent's environment variables: the proxy's, if one is set, and no others. A URL in a Secret is not among them."""
    given = {
        "HTTPS_PROXY": "" if request.proxy else settings.agent.https_proxy,
        "NO_PROXY": settings.agent.no_proxy,
    }
    entries = [{"name": name, "value": value} for name, value in given.items() if value]
    return {"env": entries} if entries else {}


def _memory(name: str, size: str) -> Json:
    return {"name": name, "emptyDir": {"medium": "Memory", "sizeLimit": size}}


def _credentials(credentials: SecretCredentials) -> Json:
    return _secret(names.CREDENTIALS_VOLUME, credentials.name, _SECRET_KEY, _CREDENTIALS_FILE)


def _proxy(proxy: ProxySecret) -> Json:
    return _secret(names.PROXY_VOLUME, proxy.name, proxy.key, _PROXY_FILE)


def _secret(volume: str, name: str, key: str, file: str) -> Json:
    """Return a volume with one *key* of a Secret as a *file*."""
    items = [{"key": key, "path": file}]
    return {"name": volume, "secret": {"secretName": name, "items": items, "defaultMode": _READABLE_BY_AGENT}}


def _api() -> Json:
    """Return the volume with a service account token, the API server's CA and the pod's identity, for writing Secrets."""
    fields = {"namespace": "metadata.namespace", "pod-name": "metadata.name", "pod-uid": "metadata.uid"}
    items = [{"path": path, "fieldRef": {"fieldPath": field}} for path, field in fields.items()]
    sources = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": _TOKEN_SECONDS}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": items}},
    ]
    return {"name": names.API_VOLUME, "projected": {"sources": sources, "defaultMode": _READABLE_BY_AGENT}}


def _ca(ca: AdditionalCa) -> Json:
    if ca.kind == "secret":
        return _secret(names.CA_VOLUME, ca.name, ca.key, _CA_FILE)
    items = [{"key": ca.key, "path": _CA_FILE}]
    return {"name": names.CA_VOLUME, "configMap": {"name": ca.name, "items": items, "defaultMode": _READABLE_BY_AGENT}}
