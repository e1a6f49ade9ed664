"""The list of features agrees with the API server: it keeps a field of a feature that its version has, and drops or refuses it otherwise."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from features import BY_NAME, version_of_cluster
from pods import Json, container, run

CONTAINER = container()
"""Other tests let the namespace enforce Pod Security, and a pod that it forbids would show nothing about a feature."""
VARIABLE = {"name": "A", "valueFrom": {"fileKeyRef": {"volumeName": "v", "path": "p", "key": "A"}}}
RULES = [{"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [88]}}]
CONDITIONS = [{"name": "annotated", "expression": "has(object.metadata.annotations)"}]


def pod(**spec: Any) -> Json:
    """Return a pod with *spec*."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "probe"},
        "spec": {"containers": [CONTAINER], **spec},
    }


def configuration(kind: str, **webhook: Any) -> Json:
    """Return a webhook configuration that would apply to nothing."""
    entry = {
        "name": "probe.keeper.security",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "clientConfig": {"url": "https://localhost/probe"},
        **webhook,
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": "probe"},
        "webhooks": [entry],
    }


RULE = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
PROBES: dict[str, tuple[Json, Callable[[Json], object]]] = {
    "matchConditions": (
        configuration("MutatingWebhookConfiguration", matchConditions=CONDITIONS),
        lambda stored: stored["webhooks"][0].get("matchConditions"),
    ),
    "native sidecar": (
        pod(initContainers=[{**CONTAINER, "name": "sidecar", "restartPolicy": "Always"}]),
        lambda stored: stored["spec"]["initContainers"][0].get("restartPolicy"),
    ),
    "ValidatingAdmissionPolicy": (
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": "probe"},
            "spec": {"validations": [{"expression": "true"}], "matchConstraints": {"resourceRules": [RULE]}},
        },
        lambda stored: stored["kind"],
    ),
    "EnvFiles": (
        pod(containers=[{**CONTAINER, "env": [VARIABLE]}], volumes=[{"name": "v", "emptyDir": {}}]),
        lambda stored: stored["spec"]["containers"][0]["env"][0].get("valueFrom", {}).get("fileKeyRef"),
    ),
    "RestartAllContainers": (
        pod(containers=[{**CONTAINER, "restartPolicy": "Never", "restartPolicyRules": RULES}]),
        lambda stored: stored["spec"]["containers"][0].get("restartPolicyRules"),
    ),
}
"""By feature: an object that uses it, and what of it the API server keeps."""


def test_every_feature_has_a_probe() -> None:
    """A feature that is added to the list is also compared with the API server."""
    assert set(PROBES) == set(BY_NAME)


@pytest.mark.parametrize("name", PROBES)
def test_the_list_of_features_is_true(cluster: Any, name: str) -> None:
    """A dry run shows whether this version has the feature."""
    version = version_of_cluster()
    assert version is not None
    item, kept = PROBES[name]
    command = ("kubectl", "create", "--dry-run=server", "--validate=ignore", "--output=json", "--filename=-")
    done = run(*command, "--namespace", cluster.namespace, text=yaml.safe_dump(item), check=False)
    has = done.returncode == 0 and bool(kept(json.loads(done.stdout)))
    assert "is forbidden" not in done.stderr
    assert has == BY_NAME[name].is_in(version), done.stderr
