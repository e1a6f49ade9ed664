"""A decision to inject → the JSON fragments that go into the pod: volumes, mounts and the agent's containers."""

from __future__ import annotations

from keeper_injector_common.annotations.request import AdditionalCa, SecretCredentials
from keeper_injector_common.annotations.table import PLAN
from keeper_injector_common.json_values import Json
from keeper_injector_common.parsers import binary_quantity
from keeper_injector_common.plan import paths
from keeper_injector_webhook.admission import environment
from keeper_injector_webhook.admission.decide import INIT_NAME, SIDECAR_NAME, Inject
from keeper_injector_webhook.admission.identity import security_context
from keeper_injector_webhook.settings import Settings

AGENT = "keeper-injector-agent"
PLAN_VOLUME, STATE_VOLUME, CREDENTIALS_VOLUME, CA_VOLUME = (
    "keeper-plan",
    "keeper-state",
    "keeper-credentials",
    "keeper-ca",
)
CREDENTIALS_MOUNT = {"name": CREDENTIALS_VOLUME, "mountPath": "/keeper/credentials", "readOnly": True}
CA_MOUNT = {"name": CA_VOLUME, "mountPath": "/keeper/ca", "readOnly": True}
API_VOLUME = "keeper-api"
TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - where containers have their token
API_MOUNT = {"name": API_VOLUME, "mountPath": TOKEN_PATH, "readOnly": True}
NO_TOKEN_MOUNT = {"name": PLAN_VOLUME, "mountPath": TOKEN_PATH, "readOnly": True}
"""API servers look at pods again after webhooks and give every container a token that has nothing at this path
(ServiceAccount admission): the plan, which the agent may read anyhow, keeps the place from it."""
TOKEN_SECONDS = 3600
METRICS_PORT = "keeper-metrics"
STATE_SIZE = "4Mi"
READABLE_BY_AGENT = 0o444
"""Only the agent's containers mount these volumes; as root owns their files, the mode must let others read."""


def volumes(decision: Inject) -> list[Json]:
    """Return the volumes to add."""
    request = decision.request
    size = binary_quantity(request.volume_size)
    return [
        *(_memory(volume.name, size) for volume in decision.volumes),
        *(_memory(group.name, environment.SIZE) for group in decision.variables),
        _memory(STATE_VOLUME, STATE_SIZE),
        {
            "name": PLAN_VOLUME,
            "downwardAPI": {
                "items": [{"path": "plan.json", "fieldRef": {"fieldPath": f"metadata.annotations['{PLAN}']"}}]
            },
        },
        *([_credentials(request.credentials)] if isinstance(request.credentials, SecretCredentials) else []),
        *([_ca(request.ca)] if request.ca else []),
        *([_api()] if request.kubernetes_secrets else []),
    ]


def init_container(decision: Inject, settings: Settings) -> Json:
    """Return the container that fetches before the application starts."""
    return {"name": INIT_NAME, **_agent(decision, settings, "init")}


def sidecar(decision: Inject, settings: Settings) -> Json:
    """Return the container that keeps the files fresh: a native sidecar, or an ordinary container on old clusters.

    A native one always has a startup probe: an API server that does not know ``restartPolicy`` drops it silently and the
    pod would wait for ever; with the probe it refuses the pod loudly.
    """
    container = {"name": SIDECAR_NAME, **_agent(decision, settings, "sidecar")}
    if decision.native:
        container["restartPolicy"] = "Always"
        container["startupProbe"] = {
            "exec": {"command": [AGENT, "ready"]},
            "periodSeconds": 1,
            "failureThreshold": 60,
            "timeoutSeconds": 5,
        }
    port = decision.request.metrics_port
    if port:
        # Opens nothing by itself: it tells schedulers of a port on the node's network, and Prometheus where to look.
        container["ports"] = [{"name": METRICS_PORT, "containerPort": port, "protocol": "TCP"}]
    return container


def mounts(decision: Inject) -> dict[tuple[str, int], list[Json]]:
    """Return the volume mounts to add to the pod's own containers, by kind and index."""
    found: dict[tuple[str, int], list[Json]] = {}
    for volume in decision.volumes:
        for container in volume.containers:
            mount = {"name": volume.name, "mountPath": volume.directory, "readOnly": True}
            found.setdefault((container.kind, container.index), []).append(mount)
    for group in decision.variables:
        # The kubelet reads file-ref volumes itself; a container need not see them.
        for container in group.containers if group.style == "exec" else ():
            mount = {"name": group.name, "mountPath": environment.MOUNT, "readOnly": True}
            found.setdefault((container.kind, container.index), []).append(mount)
    return found


def _agent(decision: Inject, settings: Settings, command: str) -> Json:
    request = decision.request
    return {
        "image": request.agent_image or settings.image_for(request.credentials),
        "imagePullPolicy": settings.agent.image.pull_policy,
        "command": [AGENT, command, "--log-level", request.log_level],
        **_environment(settings),
        "resources": decision.resources,
        "securityContext": security_context(decision.identity),
        "volumeMounts": [
            *({"name": name, "mountPath": f"{paths.VOLUMES_PATH}/{name}"} for name in decision.written_volumes),
            {"name": STATE_VOLUME, "mountPath": paths.STATE_PATH},
            {"name": PLAN_VOLUME, "mountPath": "/keeper/plan", "readOnly": True},
            *([CREDENTIALS_MOUNT] if isinstance(request.credentials, SecretCredentials) else []),
            *([CA_MOUNT] if request.ca else []),
            API_MOUNT if request.kubernetes_secrets else NO_TOKEN_MOUNT,
        ],
    }


def _environment(settings: Settings) -> Json:
    """Return the agent's environment: the way to Keeper and nothing else; none at all where there is no proxy."""
    given = {"HTTPS_PROXY": settings.agent.https_proxy, "NO_PROXY": settings.agent.no_proxy}
    entries = [{"name": name, "value": value} for name, value in given.items() if value]
    return {"env": entries} if entries else {}


def _memory(name: str, size: str) -> Json:
    return {"name": name, "emptyDir": {"medium": "Memory", "sizeLimit": size}}


def _credentials(credentials: SecretCredentials) -> Json:
    items = [{"key": "config", "path": "config"}]
    return {
        "name": CREDENTIALS_VOLUME,
        "secret": {"secretName": credentials.name, "items": items, "defaultMode": READABLE_BY_AGENT},
    }


def _api() -> Json:
    """Return the pod's own way to the API server, and who the pod is; the agent's containers alone mount it."""
    fields = {"namespace": "metadata.namespace", "pod-name": "metadata.name", "pod-uid": "metadata.uid"}
    items = [{"path": path, "fieldRef": {"fieldPath": field}} for path, field in fields.items()]
    sources = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": TOKEN_SECONDS}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": items}},
    ]
    return {"name": API_VOLUME, "projected": {"sources": sources, "defaultMode": READABLE_BY_AGENT}}


def _ca(ca: AdditionalCa) -> Json:
    items = [{"key": ca.key, "path": "ca.crt"}]
    if ca.kind == "secret":
        return {"name": CA_VOLUME, "secret": {"secretName": ca.name, "items": items, "defaultMode": READABLE_BY_AGENT}}
    return {"name": CA_VOLUME, "configMap": {"name": ca.name, "items": items, "defaultMode": READABLE_BY_AGENT}}
