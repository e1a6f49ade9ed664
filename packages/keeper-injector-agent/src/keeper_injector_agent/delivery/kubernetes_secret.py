"""The opt-in Kubernetes Secret, written with the pod's own service account.

Spoken to by the standard library: three requests on one kind of object. The official client (34.1) takes 3 s and 140 MB to
import, more than the whole agent may use in a pod.
"""

from __future__ import annotations

import base64
import http.client
import json
import logging
import os
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs

from keeper_injector_agent.errors import SecretSyncError, TransientSyncError
from keeper_injector_common.json_values import Json
from keeper_injector_common.plan.paths import below_root

if TYPE_CHECKING:
    from pathlib import Path

    from keeper_injector_common.plan.delivery import KubernetesSecret

log = logging.getLogger(__name__)

ACCOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
"""Where the webhook mounts token, CA, namespace, and the pod's name and UID."""
TIMEOUT = 10.0
"""Seconds for one request."""
MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "keeper-injector"
MADE_BY = "keeper.security/made-by-pod"
"""Annotation with the UID of the pod that made a Secret, where no owner reference says so."""
CONFLICTS = 5
"""How often a Secret that others write meanwhile is read again."""


@attrs.frozen
class ApiServer:
    """The API server as a pod reaches it, and who the pod is."""

    host: str
    port: int
    namespace: str
    pod_name: str
    pod_uid: str
    token: str = attrs.field(repr=False)
    context: ssl.SSLContext = attrs.field(repr=False)

    @classmethod
    def of_pod(cls, root: Path) -> ApiServer:
        """Read what the kubelet gives to pods; raises SecretSyncError."""
        account = below_root(root, ACCOUNT_PATH)
        names = ("namespace", "pod-name", "pod-uid", "token")
        try:
            found = {name: (account / name).read_text(encoding="utf-8").strip() for name in names}
            context = ssl.create_default_context(cafile=account / "ca.crt")
            host, port = os.environ["KUBERNETES_SERVICE_HOST"], int(os.environ.get("KUBERNETES_SERVICE_PORT", "443"))
        except (OSError, KeyError, ValueError) as error:
            raise SecretSyncError(
                f"no way to the API server from here ({error}); the webhook mounts {ACCOUNT_PATH} for pods that want a Secret"
            ) from None
        return cls(host, port, found["namespace"], found["pod-name"], found["pod-uid"], found["token"], context)

    def request(self, method: str, name: str, body: Json | None = None) -> tuple[int, Json]:
        """Ask for the Secrets of the namespace, or for the one called *name*; returns status and object."""
        path = f"/api/v1/namespaces/{self.namespace}/secrets" + (f"/{name}" if name else "")
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        connection = http.client.HTTPSConnection(self.host, self.port, timeout=TIMEOUT, context=self.context)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            content = json.loads(response.read() or b"{}")
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise TransientSyncError(f"the API server did not answer ({type(error).__name__})") from None
        finally:
            connection.close()
        return response.status, content if isinstance(content, dict) else {}


def sync(secret: KubernetesSecret, data: Mapping[str, bytes], server: ApiServer) -> str:
    """Make the Secret hold *data* as its mode says; returns ``created``, ``updated``, ``unchanged`` or ``kept``.

    Others may write it at the same time: a conflict is read again. Raises SecretSyncError.
    """
    for _ in range(CONFLICTS):
        status, present = server.request("GET", secret.name)
        if status == http.client.NOT_FOUND:
            result = "created"
            status, answer = server.request("POST", "", _new(secret, data, server))
        else:
            _check(status, present, server)
            wanted = _changed(secret, data, present, server)
            result = "updated"
            if wanted is None or wanted == present:
                return _said(secret, "kept" if wanted is None else "unchanged")
            status, answer = server.request("PUT", secret.name, wanted)
        if status not in {http.client.CONFLICT, http.client.NOT_FOUND}:
            _check(status, answer, server)
            return _said(secret, result)
    raise TransientSyncError(f"others changed it {CONFLICTS} times meanwhile")


def _said(secret: KubernetesSecret, result: str) -> str:
    log.info("kubernetes_secret.synced", extra={"secret": secret.name, "result": result})
    return result


def _new(secret: KubernetesSecret, data: Mapping[str, bytes], server: ApiServer) -> Json:
    metadata: Json = {"name": secret.name, "namespace": server.namespace, "labels": {MANAGED_BY: MANAGER}}
    if secret.owner_reference:
        metadata["ownerReferences"] = [_owner(server)]
    else:
        metadata["annotations"] = {MADE_BY: server.pod_uid}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": secret.type, "data": _encoded(data)}


def _changed(secret: KubernetesSecret, data: Mapping[str, bytes], present: Json, server: ApiServer) -> Json | None:
    """Return what *present* should become; None when it stays as it is."""
    metadata = present["metadata"]
    ours = metadata.get("labels", {}).get(MANAGED_BY) == MANAGER
    where = f"Secret {secret.name!r} in namespace {server.namespace!r}"
    match secret.mode:
        case "skip-if-exists":
            return None
        case "fail" if not (ours and (_is_owner(metadata, server) or _is_maker(metadata, server))):
            raise SecretSyncError(f"{where} exists already; remove it, or choose another k8s-secret-mode")
        case "overwrite" if not ours:
            raise SecretSyncError(
                f"{where} is not Keeper Injector's; remove it, or add to it by k8s-secret-mode: merge"
            )
    if present.get("type", "Opaque") != secret.type:
        raise SecretSyncError(f"{where} is of type {present.get('type')!r}, which cannot change; remove it")
    kept = present.get("data") or {} if secret.mode == "merge" else {}
    wanted = {**present, "metadata": dict(metadata), "data": {**kept, **_encoded(data)}}
    if secret.owner_reference and ours and not _is_owner(metadata, server):
        wanted["metadata"]["ownerReferences"] = [*metadata.get("ownerReferences", ()), _owner(server)]
    return wanted


def _owner(server: ApiServer) -> Json:
    """Return a reference to this pod; the garbage collector takes a Secret away when the last of its pods is gone."""
    return {"apiVersion": "v1", "kind": "Pod", "name": server.pod_name, "uid": server.pod_uid}


def _is_owner(metadata: Json, server: ApiServer) -> bool:
    return any(owner.get("uid") == server.pod_uid for owner in metadata.get("ownerReferences", ()))


def _is_maker(metadata: Json, server: ApiServer) -> bool:
    return bool((metadata.get("annotations") or {}).get(MADE_BY) == server.pod_uid)


def _encoded(data: Mapping[str, bytes]) -> dict[str, str]:
    return {key: base64.b64encode(value).decode() for key, value in data.items()}


def _check(status: int, answer: Json, server: ApiServer) -> None:
    """Raise for an answer that is no success; the API server's messages name objects, never their data."""
    if status < http.client.MULTIPLE_CHOICES:
        return
    reason = str(answer.get("reason") or f"HTTP {status}")
    if status == http.client.FORBIDDEN:
        raise SecretSyncError(
            f"the pod's service account may not write Secrets in namespace {server.namespace!r}; it needs a Role with get, "
            "create and update on secrets (the chart makes it: kubernetesSecrets.namespaces); the API server says: "
            f"{answer.get('message') or reason}"
        )
    if status == http.client.TOO_MANY_REQUESTS or status >= http.client.INTERNAL_SERVER_ERROR:
        raise TransientSyncError(f"the API server answered {reason}")
    raise SecretSyncError(f"the API server refused it: {reason}")
