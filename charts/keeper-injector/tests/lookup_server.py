"""The part of an API server that helm uses while it renders: the known kinds and the webhook configurations."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KINDS = {
    "v1": ["ConfigMap", "Pod", "Secret", "Service", "ServiceAccount"],
    "apps/v1": ["Deployment"],
    "policy/v1": ["PodDisruptionBudget"],
    "rbac.authorization.k8s.io/v1": ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"],
    "admissionregistration.k8s.io/v1": [
        *("MutatingWebhookConfiguration", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
    ],
    "autoscaling/v2": ["HorizontalPodAutoscaler"],
    "networking.k8s.io/v1": ["NetworkPolicy"],
    "cert-manager.io/v1": ["Certificate", "Issuer"],
    "monitoring.coreos.com/v1": ["PrometheusRule", "ServiceMonitor"],
}
DENIED = 'User "ann" cannot list resource "mutatingwebhookconfigurations" at the cluster scope'
CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"


@contextlib.contextmanager
def lookup_server(configurations: list[dict[str, Any]] | None) -> Iterator[str]:
    """Serve a cluster with these webhook configurations only (None: the user may not list them); yield its URL."""
    answers = {**_discovery(), CONFIGURATIONS: {"kind": "MutatingWebhookConfigurationList", "items": configurations}}
    answers[CONFIGURATIONS] |= {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"resourceVersion": "1"}}
    if configurations is None:
        answers[CONFIGURATIONS] = _status(
            403, "Forbidden", f"{CONFIGURATIONS.rpartition('/')[2]} is forbidden: {DENIED}"
        )

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = answers.get(self.path.partition("?")[0], _status(404, "NotFound", ""))
            body = json.dumps(answer).encode()
            self.send_response(answer.get("code", 200))
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Do not log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def _status(code: int, reason: str, message: str) -> dict[str, Any]:
    failure = {"kind": "Status", "apiVersion": "v1", "status": "Failure"}
    return {**failure, "code": code, "reason": reason, "message": message}


def _discovery() -> dict[str, dict[str, Any]]:
    answers: dict[str, dict[str, Any]] = {
        "/version": {"major": "1", "minor": "37", "gitVersion": "v1.37.2"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
    }
    for version, kinds in KINDS.items():
        group = version.rpartition("/")[0]
        answers[f"/apis/{version}" if group else "/api/v1"] = _resources(version, kinds)
        if group:
            served = {"groupVersion": version, "version": version.rpartition("/")[2]}
            answers["/apis"]["groups"].append({"name": group, "versions": [served], "preferredVersion": served})
    return answers


def _resources(version: str, kinds: list[str]) -> dict[str, Any]:
    resources = [
        {
            "name": f"{kind.lower()}s",
            "singularName": kind.lower(),
            "kind": kind,
            "verbs": ["get", "list", "create"],
            "namespaced": not kind.startswith(("Cluster", "Mutating", "Validating")),
        }
        for kind in kinds
    ]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": resources}
