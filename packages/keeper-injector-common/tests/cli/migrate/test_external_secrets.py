"""``keeper-injector migrate``: an ExternalSecret becomes annotations for the pods that use its Secret."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from command_line import run


def test_an_external_secret_is_migrated() -> None:
    """The output has the annotations for the pods, which still write the Secret; lint accepts them."""
    text = """\
kind: ExternalSecret
metadata: {name: shop}
spec:
  target: {name: shop-db}
  data: [{secretKey: DB_PASSWORD, remoteRef: {key: db, property: password}}]
"""
    found = run("migrate", "-", text=text)
    assert found.code == 0
    annotations = found.output.split("annotations:\n")[1]
    pod = f"kind: Pod\nmetadata:\n  name: a\n  annotations:\n  {annotations.replace(chr(10), chr(10) + '  ')}\n"
    assert "password: DB_PASSWORD" in annotations
    checked = run("lint", "--strict", "-", text=pod)
    assert (checked.code, checked.output) == (0, "")


EXTERNAL = """\
kind: ExternalSecret
metadata: {name: shop, namespace: shops}
spec: %s
"""
ONE = "data: [{secretKey: PW, remoteRef: {key: db, property: password}}]"


def external(spec: str) -> tuple[dict[str, Any], dict[str, str], list[str]]:
    """Return the one secret in ``config``, the other annotations, and the messages about what has no counterpart."""
    found = run("migrate", "-", text=EXTERNAL % spec)
    annotations = list(yaml.safe_load_all(found.output))[1]["annotations"]
    (secret,) = yaml.safe_load(annotations.pop("keeper.security/config"))["secrets"]
    left = [
        line.removeprefix("keeper-injector: -:1: ExternalSecret/shop: ")
        for line in found.errors.splitlines()
        if line.startswith("keeper-injector")
    ]
    assert found.code == (1 if left else 0)
    return secret, annotations, left


@pytest.mark.parametrize(
    ("interval", "annotation", "rotation"),
    [("", None, True), ("refreshInterval: 1h0m0s", "1h0m0s", True), ('refreshInterval: "0"', None, None)],
    ids=["as often as ever", "every hour", "once"],
)
def test_the_refresh_interval_is_migrated(interval: str, annotation: str | None, rotation: bool | None) -> None:
    """The Secret is updated at each refresh, as before; with an interval of 0 it is written once."""
    secret, annotations, left = external(f"{{{ONE}, {interval}}}")
    assert annotations.get("keeper.security/refresh-interval") == annotation
    assert (secret.get("k8sSecretRotation"), left) == (rotation, [])


@pytest.mark.parametrize(
    ("target", "written"),
    [
        ("creationPolicy: Owner, deletionPolicy: Retain", {}),
        ("creationPolicy: Orphan", {"k8sSecretOwnerRef": False}),
        ("creationPolicy: Merge", {"k8sSecretMode": "merge"}),
        (
            "template: {type: kubernetes.io/basic-auth, engineVersion: v2}",
            {"k8sSecretType": "kubernetes.io/basic-auth"},
        ),
    ],
)
def test_the_target_is_migrated(target: str, written: dict[str, Any]) -> None:
    """The policy and the type of the Secret become keys of ``config``."""
    secret, _, left = external(f"{{{ONE}, target: {{{target}}}}}")
    usual = {"record", "path", "injectAsK8sSecret", "k8sSecretName", "k8sSecretRotation", "k8sSecretKeys"}
    assert ({key: value for key, value in secret.items() if key not in usual}, left) == (written, [])


@pytest.mark.parametrize(
    ("spec", "lost"),
    [
        (
            "data: [{secretKey: A, remoteRef: {key: db, property: p}}, {secretKey: B, remoteRef: {key: db, property: p}}]",
            "B: field p of db is already written as A; use that key, or a file",
        ),
        (
            f"{ONE}, dataFrom: [{{extract: {{key: db}}}}]",
            "dataFrom.extract: record db is also in data; list each of its fields in k8sSecretKeys",
        ),
        (
            f"{ONE}, target: {{template: {{data: {{a: b}}}}}}",
            "spec.target.template.data: a Secret has no templates here; use template: of a file",
        ),
        (
            f"{ONE}, target: {{template: {{type: kubernetes.io/tls}}}}",
            "spec.target.template.type: a Secret of type kubernetes.io/tls needs the keys tls.crt, tls.key",
        ),
        (
            f"{ONE}, target: {{template: {{metadata: {{labels: {{a: b}}}}}}}}",
            "spec.target.template.metadata: no counterpart",
        ),
        (
            f"{ONE}, target: {{creationPolicy: None}}",
            "spec.target.creationPolicy: None creates no Secret; remove all keys that begin with k8sSecret",
        ),
        (f"{ONE}, target: {{deletionPolicy: Delete}}", "spec.target.deletionPolicy: no counterpart"),
        (
            f"{ONE}, refreshInterval: 1s",
            "spec.refreshInterval: '1s' is out of range; write a duration from 10s to 168h",
        ),
        (
            f"{ONE}, refreshPolicy: CreatedOnce",
            "spec.refreshPolicy: CreatedOnce has no counterpart; every new pod writes the Secret, but refreshes do not",
        ),
        (
            "data: [{secretKey: A, remoteRef: {key: db, property: p, version: v2, decodingStrategy: Base64}}]",
            "spec.data.remoteRef.version: no counterpart; Keeper returns the current version of a record",
        ),
        ("dataFrom: [{extract: {key: db}, rewrite: [{regexp: {}}]}]", "spec.dataFrom.rewrite: no counterpart"),
        (
            "data: [{secretKey: A, remoteRef: {key: 'db[', property: p}}]",
            (
                "the webhook would reject the migrated annotations: keeper.security/config: secrets[0].record: "
                "'db[' at character 4: ']' is missing; add it"
            ),
        ),
    ],
    ids=lambda text: text[:24],
)
def test_keys_without_a_counterpart_are_reported(spec: str, lost: str) -> None:
    """Every key that has no counterpart is reported, and the exit code is 1."""
    assert lost in external(f"{{{spec}}}")[2]


@pytest.mark.parametrize("spec", ["", "5", "[1]", "{data: 5, dataFrom: [1], target: []}", "{data: [{remoteRef: 5}]}"])
def test_an_invalid_external_secret_is_reported(spec: str) -> None:
    """An ExternalSecret that an API server would reject is reported without a traceback."""
    found = run("migrate", "-", text=EXTERNAL % spec)
    assert (found.code, "Traceback" in found.errors) == (1, False)


def test_the_steps_on_a_live_cluster_are_in_order() -> None:
    """The old Secret is deleted first, because the agent does not overwrite it, and permissions come before the restart."""
    output = run("migrate", "-", text=EXTERNAL % f"{{{ONE}}}").output
    steps = [
        "kubectl delete externalsecret shop -n shops",
        "kubernetesSecrets.namespaces: [shops]",
        "restart the workload",
    ]
    positions = [output.index(step) for step in steps]
    assert positions == sorted(positions)
