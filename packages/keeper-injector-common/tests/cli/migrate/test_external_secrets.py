"""``keeper-injector migrate``: an ExternalSecret becomes annotations for the pods that use its Secret."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from command_line import run

EXTERNAL = """\
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: shop, namespace: shops}
spec: %s
"""
ONE = "data: [{secretKey: PW, remoteRef: {key: db, property: password}}]"
DEPLOYMENT = """\
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, namespace: shops}
spec:
  template:
    spec: # of the pod
      containers:
        - name: app
          envFrom: [{secretRef: {name: shop}}]
"""


def migrated(spec: str, *arguments: str, more: str = "") -> tuple[list[Any], list[str], int]:
    """Return the documents of the output, the messages without their positions, and the exit code."""
    found = run("migrate", "-", *arguments, text=EXTERNAL % spec + more)
    messages = [line.split(": ", 2)[2] for line in found.errors.splitlines() if line.startswith("keeper-injector: -:")]
    assert "Traceback" not in found.errors
    assert run("lint", "-", text=found.output).code == 0
    return list(yaml.safe_load_all(found.output)), messages, found.code


def entries_in(template: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return the entries of ``config`` of a pod template, and its other annotations."""
    annotations = dict(template["metadata"]["annotations"])
    return yaml.safe_load(annotations.pop("keeper.security/config"))["secrets"], annotations


def external(spec: str) -> tuple[dict[str, Any], dict[str, str], list[str]]:
    """Return the one entry of ``config``, the other annotations, and the messages about what has no counterpart."""
    documents, messages, code = migrated(spec)
    (entry,), annotations = entries_in(documents[1]["template"])
    left = [message.removeprefix("ExternalSecret/shop: ") for message in messages]
    assert code == (1 if left else 0)
    return entry, annotations, left


def written(spec: str) -> list[dict[str, Any]]:
    """Return the entries of ``config`` without the keys that all of them have."""
    usual = {"injectAsK8sSecret", "k8sSecretName", "k8sSecretRotation"}
    entries, _ = entries_in(migrated(spec)[0][1]["template"])
    return [{key: value for key, value in entry.items() if key not in usual} for entry in entries]


def test_an_external_secret_is_migrated() -> None:
    """Without a workload, the output is a valid object with the annotations; lint accepts them."""
    found = run("migrate", "-", text=EXTERNAL % f"{{target: {{name: shop-db}}, {ONE}}}")
    assert found.code == 0
    old, new = yaml.safe_load_all(found.output)
    assert old["kind"] == "ExternalSecret"
    assert (new["kind"], new["apiVersion"], new["metadata"]) == (
        "PodTemplate",
        "v1",
        {"name": "shop-db", "namespace": "shops"},
    )
    assert "For every pod template that uses the Secret shop-db" in found.output
    checked = run("lint", "--strict", "-", text=found.output)
    assert (checked.code, checked.output) == (0, "")


def test_the_workload_of_the_input_gets_the_annotations() -> None:
    """The annotations are put where the pod template is, and no other document is added."""
    documents, messages, code = migrated(f"{{{ONE}}}", more=DEPLOYMENT)
    assert (len(documents), messages, code) == (2, [], 0)
    (entry,), annotations = entries_in(documents[1]["spec"]["template"])
    assert entry["k8sSecretKeys"] == {"password": "PW"}
    assert annotations == {"keeper.security/inject": "true"}
    assert "spec: # of the pod" in run("migrate", "-", text=EXTERNAL % f"{{{ONE}}}" + DEPLOYMENT).output


def test_a_workload_of_another_namespace_gets_nothing() -> None:
    """A Secret of the same name in another namespace is another Secret."""
    documents, _, _ = migrated(f"{{{ONE}}}", more=DEPLOYMENT.replace("namespace: shops", "namespace: stock"))
    assert [item["kind"] for item in documents] == ["ExternalSecret", "Deployment", "PodTemplate"]


@pytest.mark.parametrize(
    ("kind", "version", "path"),
    [
        ("deployment", "apps/v1", ("spec", "template")),
        ("CronJob", "batch/v1", ("spec", "jobTemplate", "spec", "template")),
        ("Pod", "v1", ()),
    ],
)
def test_a_patch_for_a_workload(kind: str, version: str, path: tuple[str, ...]) -> None:
    """``--workload`` names the object that the document is a patch of."""
    documents, _, _ = migrated(f"{{{ONE}}}", "--workload", f"{kind}/api")
    patch = documents[1]
    assert (patch["apiVersion"], patch["kind"].lower(), patch["metadata"]["name"]) == (version, kind.lower(), "api")
    template = patch
    for key in path:
        template = template[key]
    assert entries_in(template)[0]


def test_a_workload_of_an_unknown_kind_is_an_error() -> None:
    """The kind and the name are checked."""
    for wrong in ("Service/a", "Deployment", "Deployment/A b"):
        found = run("migrate", "-", "--workload", wrong, text="")
        assert (found.code, "write KIND/NAME" in found.errors) == (2, True)


def test_several_records_of_one_secret_are_merged() -> None:
    """Each record has an entry that merges its keys into the Secret."""
    both = "data: [{secretKey: A, remoteRef: {key: x, property: p}}, {secretKey: B, remoteRef: {key: y, property: p}}]"
    assert written(f"{{{both}}}") == [
        {"record": "x", "path": "/keeper/secrets/shop-x.json", "k8sSecretKeys": {"p": "A"}, "k8sSecretMode": "merge"},
        {"record": "y", "path": "/keeper/secrets/shop-y.json", "k8sSecretKeys": {"p": "B"}, "k8sSecretMode": "merge"},
    ]


def test_one_field_under_two_keys() -> None:
    """A field that has two keys has two entries, of which one writes the file."""
    both = "data: [{secretKey: A, remoteRef: {key: x, property: p}}, {secretKey: B, remoteRef: {key: x, property: p}}]"
    assert written(f"{{{both}}}") == [
        {"record": "x", "path": "/keeper/secrets/shop.json", "k8sSecretKeys": {"p": "A"}, "k8sSecretMode": "merge"},
        {"record": "x", "k8sSecretKeys": {"p": "B"}, "k8sSecretMode": "merge"},
    ]


def test_data_beside_a_whole_record() -> None:
    """All fields of a record under their names, and one of them under another name too."""
    assert written(f"{{{ONE}, dataFrom: [{{extract: {{key: db}}}}]}}") == [
        {
            "record": "db",
            "path": "/keeper/secrets/shop.json",
            "k8sSecretKeys": {"password": "PW"},
            "k8sSecretMode": "merge",
        },
        {"record": "db", "k8sSecretMode": "merge"},
    ]


def test_a_template_that_inserts_values_renames_keys() -> None:
    """The keys of the Secret are those of the template, if it only inserts values."""
    spec = f"{{{ONE}, target: {{template: {{data: {{secret: '{{{{ .PW }}}}'}}}}}}}}"
    documents, messages, _ = migrated(spec)
    assert (entries_in(documents[1]["template"])[0][0]["k8sSecretKeys"], messages) == ({"password": "secret"}, [])


def test_no_secret_without_records() -> None:
    """What names no record creates nothing, and is named."""
    documents, messages, code = migrated("{dataFrom: [{sourceRef: {generatorRef: {kind: Password, name: a}}}]}")
    assert (len(documents), code) == (1, 1)
    assert any("spec.dataFrom.sourceRef: no counterpart" in message for message in messages)


def test_no_secret_with_the_policy_none() -> None:
    """A policy that creates no Secret becomes a file only, and nothing contradicts that."""
    assert written(f"{{{ONE}, target: {{creationPolicy: None}}}}") == [
        {"record": "db", "path": "/keeper/secrets/shop.json"}
    ]


CLUSTER = """\
kind: ClusterExternalSecret
metadata: {name: shop}
spec:
  externalSecretName: shop-es
  namespaceSelectors: [{matchLabels: {a: b}}]
  externalSecretSpec:
    data: [{secretKey: PW, remoteRef: {key: db, property: password}}]
"""


def test_a_cluster_external_secret_is_migrated() -> None:
    """It becomes the annotations of the ExternalSecrets that it creates; its selector of namespaces is named."""
    found = run("migrate", "-", text=CLUSTER)
    documents = list(yaml.safe_load_all(found.output))
    assert (found.code, documents[1]["metadata"]) == (1, {"name": "shop-es"})
    assert entries_in(documents[1]["template"])[0][0]["k8sSecretName"] == "shop-es"
    assert "spec.namespaceSelectors: annotations have no selector of namespaces" in found.errors


STORE = """\
---
kind: %s
metadata: {name: keeper%s}
spec: {provider: {keepersecurity: {authRef: {name: ksm, key: %s}}}}
"""


@pytest.mark.parametrize(
    ("kind", "key", "message"),
    [
        ("SecretStore", "config", ""),
        ("ClusterSecretStore", "config", ""),
        ("SecretStore", "auth", "the KSM configuration is in the key auth of Secret ksm; store it as config"),
    ],
)
def test_the_store_becomes_ksm_config(kind: str, key: str, message: str) -> None:
    """The Secret of a store for Keeper is the one with the KSM configuration."""
    store = STORE % (kind, ", namespace: shops" if kind == "SecretStore" else "", key)
    documents, messages, _ = migrated(f"{{secretStoreRef: {{name: keeper, kind: {kind}}}, {ONE}}}", more=store)
    assert entries_in(documents[2]["template"])[1]["keeper.security/ksm-config"] == "ksm"
    assert [item.split(": ", 2)[2] for item in messages] == ([message] if message else [])


def test_names_cannot_end_a_comment() -> None:
    """A name with a line break stays in its comment."""
    text = EXTERNAL % f"{{{ONE}}}"
    found = run("migrate", "-", text=text.replace("name: shop,", 'name: "a\\nb: c",'))
    assert not any(line.startswith("b: c") for line in found.output.splitlines())
    list(yaml.safe_load_all(found.output))


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
    ("target", "keys"),
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
def test_the_target_is_migrated(target: str, keys: dict[str, Any]) -> None:
    """The policy and the type of the Secret become keys of ``config``."""
    secret, _, left = external(f"{{{ONE}, target: {{{target}}}}}")
    usual = {"record", "path", "injectAsK8sSecret", "k8sSecretName", "k8sSecretRotation", "k8sSecretKeys"}
    assert ({key: value for key, value in secret.items() if key not in usual}, left) == (keys, [])


@pytest.mark.parametrize(
    ("spec", "lost"),
    [
        (
            f"{ONE}, target: {{template: {{data: {{a: b}}}}}}",
            "spec.target.template.data: a: a Secret has no templates here; use template: of a file",
        ),
        (
            f"{ONE}, target: {{template: {{type: kubernetes.io/tls}}}}",
            "spec.target.template.type: a Secret of type kubernetes.io/tls needs the keys tls.crt, tls.key",
        ),
        (
            f"{ONE}, target: {{template: {{metadata: {{labels: {{a: b}}}}}}}}",
            "spec.target.template.metadata: no counterpart",
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
