"""A real API server accepts the chart's objects."""

from __future__ import annotations

import json
from typing import Any

import pytest

SECRET = ("tls.mode=secret", "tls.secretName=webhook-tls")
WEBHOOK = ["ConfigMap", "Deployment", "MutatingWebhookConfiguration", "Service", "ServiceAccount"]
POLICY = ["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"]
RIGHTS = ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "Secret", *POLICY]


def kinds(objects: list[dict[str, Any]]) -> list[str]:
    """Return the kinds of objects, sorted."""
    return sorted(item["kind"] for item in objects)


def one(objects: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    """Return the only object of *kind*."""
    (found,) = [item for item in objects if item["kind"] == kind]
    return found


@pytest.mark.parametrize(
    "values",
    [("tls.caBundle=",), ("replicas=1", "failurePolicy=Ignore"), ("priorityClassName=system-cluster-critical",)],
    ids=str,
)
def test_every_object_is_accepted(cluster: Any, values: tuple[str, ...]) -> None:
    """The API server accepts the rendered objects, and they contain only what the webhook needs, above all no other permissions."""
    budget = [] if "replicas=1" in values else ["PodDisruptionBudget"]
    assert kinds(cluster.chart(*SECRET, *values)) == sorted(WEBHOOK + budget)


@pytest.mark.parametrize(
    ("file", "values", "more"),
    [
        ("default", (), ["PodDisruptionBudget", *RIGHTS]),
        ("minimal", (), RIGHTS),
        ("cert-manager", (), ["PodDisruptionBudget"]),
        ("given-secret", ("tls.caBundle=",), ["PodDisruptionBudget"]),
        ("monitoring", (), ["ConfigMap", "PodDisruptionBudget", *RIGHTS]),
        (
            "hardened",
            ("kubernetesSecrets.namespaces={NAMESPACE}",),
            ["HorizontalPodAutoscaler", "NetworkPolicy", "PodDisruptionBudget", "Role", "RoleBinding"],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_users_may_want_is_accepted(cluster: Any, file: str, values: tuple[str, ...], more: list[str]) -> None:
    """Every file in ci/ passes the validation of the API server; kinds of operators only if these are installed."""
    operators = {"Certificate", "Issuer", "PrometheusRule", "ServiceMonitor"}
    here = [value.replace("NAMESPACE", cluster.namespace) for value in values]
    found = [kind for kind in kinds(cluster.chart(*here, file=file)) if kind not in operators]
    assert found == sorted(WEBHOOK + more)


def test_only_annotated_pods_reach_the_webhook(cluster: Any) -> None:
    """The match condition compiles on the API server, and it matches no system pod."""
    (webhook,) = one(cluster.chart(*SECRET), "MutatingWebhookConfiguration")["webhooks"]
    assert "'keeper.security/inject' in object.metadata.annotations" in webhook["matchConditions"][0]["expression"]
    assert webhook["namespaceSelector"]["matchExpressions"][0]["values"] == ["kube-system", cluster.namespace]
    assert (webhook["failurePolicy"], webhook["sideEffects"], webhook["timeoutSeconds"]) == ("Fail", "None", 5)


@pytest.mark.parametrize("file", ["default", "given-secret"])
def test_the_webhooks_pods_satisfy_restricted(cluster: Any, file: str) -> None:
    """A namespace that enforces Pod Security `restricted` admits a pod of the Deployment."""
    deployment = one(cluster.chart("tls.caBundle=", file=file), "Deployment")
    spec = {**deployment["spec"]["template"]["spec"], "serviceAccountName": "default", "serviceAccount": "default"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe"}, "spec": spec}
    label = "pod-security.kubernetes.io/enforce=restricted"
    cluster.kubectl("label", "namespace", cluster.namespace, label, "--overwrite")
    created = cluster.kubectl("create", "--dry-run=server", "--output", "name", "--filename", "-", text=json.dumps(pod))
    assert created == "pod/probe\n"
    assert spec["automountServiceAccountToken"] is (file == "default")
