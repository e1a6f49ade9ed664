"""The Kubernetes API server, for the Secrets of the pod's namespace, with the pod's own service account.

Three requests on one kind of object need only the standard library. The official client (34.1) takes 3 s and 140 MB to
import, more than the whole agent may use in a pod.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
from typing import TYPE_CHECKING

import attrs

from keeper_injector_agent.errors import SecretSyncError, TransientSyncError
from keeper_injector_common.json_values import Json, as_object
from keeper_injector_common.plan.paths import ACCOUNT_PATH, below_root

if TYPE_CHECKING:
    from pathlib import Path


_TIMEOUT = 10.0
"""Seconds for one request."""


@attrs.frozen
class ApiServer:
    """The API server as the pod reaches it, and the pod's identity."""

    host: str
    port: int
    namespace: str
    pod_name: str
    pod_uid: str
    token: str = attrs.field(repr=False)
    context: ssl.SSLContext = attrs.field(repr=False)

    @classmethod
    def of_pod(cls, root: Path) -> ApiServer:
        """Return the API server of the pod whose volumes are below *root*; raises SecretSyncError outside a cluster."""
        account = below_root(root, ACCOUNT_PATH)
        names = ("namespace", "pod-name", "pod-uid", "token")
        try:
            found = {name: (account / name).read_text(encoding="utf-8").strip() for name in names}
            context = ssl.create_default_context(cafile=account / "ca.crt")
            host, port = os.environ["KUBERNETES_SERVICE_HOST"], int(os.environ.get("KUBERNETES_SERVICE_PORT", "443"))
        except (OSError, KeyError, ValueError) as error:
            raise SecretSyncError(
                f"the API server cannot be reached from here ({error}); the webhook mounts {ACCOUNT_PATH} for pods that "
                "want a Secret"
            ) from None
        return cls(host, port, found["namespace"], found["pod-name"], found["pod-uid"], found["token"], context)

    def request(self, method: str, name: str, body: Json | None = None) -> tuple[int, Json]:
        """Send a request for the Secret called *name*, or for the collection if empty; return status and JSON object.

        Raises TransientSyncError if there is no response. Pass the status to :meth:`check`.
        """
        path = f"/api/v1/namespaces/{self.namespace}/secrets" + (f"/{name}" if name else "")
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        connection = http.client.HTTPSConnection(self.host, self.port, timeout=_TIMEOUT, context=self.context)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            content = json.loads(response.read() or b"{}")
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise TransientSyncError(f"the API server did not answer ({type(error).__name__})") from None
        finally:
            connection.close()
        return response.status, as_object(content)

    def check(self, status: int, response: Json) -> None:
        """Raise SecretSyncError for a *status* that is not a success, with the reason in *response*."""
        if status < http.client.MULTIPLE_CHOICES:
            return
        reason = str(response.get("reason") or f"HTTP {status}")
        if status == http.client.FORBIDDEN:
            raise SecretSyncError(
                f"the pod's service account may not write Secrets in namespace {self.namespace!r}; it needs a Role with "
                "get, create and update on secrets (the chart creates it: kubernetesSecrets.namespaces and serviceAccounts); the API server "
                f"says: {response.get('message') or reason}"
            )
        if status == http.client.TOO_MANY_REQUESTS or status >= http.client.INTERNAL_SERVER_ERROR:
            raise TransientSyncError(f"the API server answered {reason}")
        raise SecretSyncError(f"the API server rejected it: {reason}")
