"""The chart as a real API server sees it."""

from __future__ import annotations

import json
from typing import Any

import pytest


def kinds(objects: list[dict[str, Any]]) -> list[str]:
    """Return the kinds of objects, sorted."""
    return sorted(item["kind"] for item in objects)


@pytest.mark.parametrize(
    "values",
    [("tls.caBundle=",), ("replicas=1", "failurePolicy=Ignore"), ("priorityClassName=system-cluster-critical",)],
    ids=str,
)
def test_every_object_is_accepted(cluster: Any, values: tuple[str, ...]) -> None:
    """The API server validates what the chart renders; nothing but what runs the webhook is in it, no right above all."""
    found = kinds(cluster.chart("tls.secretName=webhook-tls", *values))
    always = ["ConfigMap", "Deployment", "MutatingWebhookConfiguration", "Service", "ServiceAccount"]
    budget = [] if "replicas=1" in values else ["PodDisruptionBudget"]
    assert found == sorted(always + budget)


def test_only_annotated_pods_reach_the_webhook(cluster: Any) -> None:
    """The condition compiles on the API server, and no pod of the system is in its way."""
    objects = cluster.chart("tls.secretName=webhook-tls")
    (configuration,) = [item for item in objects if item["kind"] == "MutatingWebhookConfiguration"]
    (webhook,) = configuration["webhooks"]
    assert "'keeper.security/inject' in object.metadata.annotations" in webhook["matchConditions"][0]["expression"]
    assert webhook["namespaceSelector"]["matchExpressions"][0]["values"] == ["kube-system", "keeper-injector-test"]
    assert (webhook["failurePolicy"], webhook["sideEffects"], webhook["timeoutSeconds"]) == ("Fail", "None", 5)


def test_the_webhooks_pods_satisfy_restricted(cluster: Any) -> None:
    """A namespace that enforces Pod Security `restricted` admits a pod of the Deployment."""
    (deployment,) = [item for item in cluster.chart("tls.secretName=webhook-tls") if item["kind"] == "Deployment"]
    spec = {**deployment["spec"]["template"]["spec"], "serviceAccountName": "default", "serviceAccount": "default"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe"}, "spec": spec}
    label = "pod-security.kubernetes.io/enforce=restricted"
    cluster.kubectl("label", "namespace", cluster.namespace, label, "--overwrite")
    created = cluster.kubectl("create", "--dry-run=server", "--output", "name", "--filename", "-", text=json.dumps(pod))
    assert created == "pod/probe\n"
    assert spec["automountServiceAccountToken"] is False
