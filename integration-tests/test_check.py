"""``keeper-injector check`` against a real cluster: healthy, and with each failure made for real."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from checking import check, checked, kubeconfig, without_releases
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from pods import FIGURES, IMAGES, Json, Namespace, Pod, container, pod, wait_for
from releases import Release, own_release

WEBHOOK = "deployment/keeper-injector"
NOWHERE = "198.51.100.1"
"""An address for documentation (RFC 5737): packets to it are lost, as those that a network policy drops."""


@pytest.fixture(name="release", scope="module")
def _release(images: Any) -> Iterator[Release]:
    """A release that no other test file uses."""
    assert images.namespace
    with own_release("check") as release:
        yield release


@pytest.fixture(name="webhook")
def _webhook(release: Release) -> Release:
    """The release in its initial state, whatever the previous test changed."""
    release.install()
    wait_for(lambda: bundle_of(release), "a CA that the API server trusts")
    return release


def bundle_of(webhook: Release) -> str:
    """Return the caBundle as base64."""
    (entry,) = webhook.system.get(webhook.configuration)["webhooks"]
    return str(entry["clientConfig"].get("caBundle", ""))


def trust(webhook: Release, pem: bytes) -> None:
    """Write *pem* to the caBundle; the webhook itself reads it only once an hour."""
    value = base64.b64encode(pem).decode()
    patch = [{"op": "replace", "path": "/webhooks/0/clientConfig/caBundle", "value": value}]
    webhook.system.kubectl("patch", webhook.configuration, "--type=json", f"--patch={json.dumps(patch)}")


def sleeper(name: str, **annotations: str) -> Json:
    """Return an annotated pod that every Pod Security level accepts."""
    return pod(name, {"secret": "api-keys", **annotations}, containers=[container(security={"runAsUser": 1000})])


def test_before_the_installation(cluster: Any) -> None:
    """On a cluster as it is, nothing fails, and the version is the cluster's."""
    found = check("--pre")
    version = json.loads(cluster.kubectl("version", "--output=json"))["serverVersion"]["gitVersion"]
    assert found.failed() == {}
    assert version in found.of("kubernetes-version")[0]["found"]


def test_without_rights(cluster: Any, tmp_path: Path) -> None:
    """A user without any right gets warnings that say what was not checked, and learns which rights are missing."""
    token = cluster.kubectl("create", "token", "default").strip()
    found = check("--pre", "--kubeconfig", str(kubeconfig(tmp_path, token=token)))
    assert list(found.failed()) == ["install-rights"]
    assert "mutatingwebhookconfigurations" in found.failed()["install-rights"]
    assert {item["check"] for item in found.findings if item["status"] == "warning"} >= {"kubelets", "other-webhooks"}


def test_a_service_mesh(cluster: Any) -> None:
    """Istio's webhook is named before the installation, with the page about the order. It selects no namespace here."""
    hook = {
        "name": "rev.namespace.sidecar-injector.istio.io",
        "clientConfig": {"url": "https://127.0.0.1:1/inject"},
        "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
        "namespaceSelector": {"matchLabels": {"injector": "of-no-release"}},
        "failurePolicy": "Ignore",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    kind = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration"}
    name = "istio-sidecar-injector-check"
    cluster.kubectl("apply", "--filename=-", text=json.dumps({**kind, "metadata": {"name": name}, "webhooks": [hook]}))
    try:
        found = check("--pre")
    finally:
        cluster.kubectl("delete", f"mutatingwebhookconfiguration/{name}")
    (webhooks,) = found.of("other-webhooks")
    assert (found.code, webhooks["status"]) == (0, "warning")
    assert "Istio changes pods too" in webhooks["found"]
    assert webhooks["link"].endswith("meshes.md")


@pytest.mark.parametrize(
    ("server", "user", "said"),
    [
        ("https://127.0.0.1:1", {}, "the API server https://127.0.0.1:1 does not answer"),
        ("", {"token": "no-such-token"}, "does not accept the credentials of the kubeconfig; log in again"),
        (None, {}, "no kubeconfig that names a cluster"),
    ],
    ids=["no server", "no user", "no file"],
)
def test_no_cluster(cluster: Any, tmp_path: Path, server: str | None, user: dict[str, str], said: str) -> None:
    """Without a cluster the command ends with 2, and one sentence that says what was found."""
    assert cluster.namespace
    file = tmp_path / "missing" if server is None else kubeconfig(tmp_path, server, **user)
    done = checked("--kubeconfig", str(file))
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_cluster_without_the_chart(space: Namespace, tmp_path: Path) -> None:
    """The failure is the missing webhook, with the command that installs it; the namespace is checked nevertheless."""
    with without_releases(tmp_path) as file:
        found = check("--namespace", space.name, "--kubeconfig", str(file))
    assert list(found.failed()) == ["webhook-configuration"]
    (missing,) = found.of("webhook-configuration")
    assert missing["fix"].startswith("helm upgrade --install keeper-injector")
    assert [item["status"] for item in found.of("workload") + found.of("pod")] == ["ok", "ok"]


def test_a_healthy_installation(space: Namespace, webhook: Release) -> None:
    """Nothing fails; a bare pod stays as it is and an annotated one is injected, with the time that it took."""
    space.apply(sleeper("web"))
    Pod(space, "web").ready()
    found = check("--namespace", space.name)
    assert found.failed() == {}
    assert found.code == 0
    assert {item["check"] for item in found.findings} >= {
        *("webhook-replicas", "webhook-certificate", "ca-bundle", "dry-run", "dry-run-bare"),
        *("ksm-configuration", "ca-certificate", "pod"),
    }
    (injected,) = [item for item in found.of("dry-run") if "seconds" in item]
    FIGURES.append(f"check: an annotated pod by server-side dry run in {injected['seconds'] * 1000:.0f} ms")
    assert "api-keys" not in json.dumps(found.findings)


def test_no_endpoints(space: Namespace, webhook: Release) -> None:
    """All replicas are gone."""
    webhook.install("replicas=0")
    found = check("--namespace", space.name)
    assert "none of 0" in found.failed()["webhook-replicas"]
    assert "cannot call the webhook" in found.failed()["dry-run"]
    assert found.all_help()


def test_a_network_that_drops_packets(space: Namespace, webhook: Release) -> None:
    """API servers reach no replica, although all are ready, as behind a network policy or a firewall."""
    service = webhook.system.get("service/keeper-injector")
    away = [{"op": "remove", "path": "/spec/selector"}]
    webhook.system.kubectl("patch", "service/keeper-injector", "--type=json", f"--patch={json.dumps(away)}")
    webhook.system.kubectl("delete", "endpointslices", "--selector=kubernetes.io/service-name=keeper-injector")
    endpoints = {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"name": "keeper-injector"},
        "subsets": [{"addresses": [{"ip": NOWHERE}], "ports": [{"name": "https", "port": 8443}]}],
    }
    webhook.system.apply(endpoints)
    try:
        found = check("--namespace", space.name)
    finally:
        back = [{"op": "add", "path": "/spec/selector", "value": service["spec"]["selector"]}]
        webhook.system.kubectl("patch", "service/keeper-injector", "--type=json", f"--patch={json.dumps(back)}")
    assert set(found.failed()) == {"dry-run"}
    assert "network policies" in next(item["fix"] for item in found.of("dry-run") if item["status"] == "failed")


@pytest.mark.parametrize("fault", ["another CA", "an expired CA", "no CA"])
def test_what_api_servers_trust(space: Namespace, webhook: Release, fault: str) -> None:
    """The caBundle is not that of the certificate that is served."""
    over = trustme.CA()
    pem = {
        "another CA": over.cert_pem.bytes(),
        "an expired CA": expired_authority(),
        "no CA": b"",
    }[fault]
    before = base64.b64decode(bundle_of(webhook))
    trust(webhook, pem)
    try:
        found = check("--namespace", space.name)
    finally:
        trust(webhook, before)
    expected = {"another CA": "webhook-certificate", "an expired CA": "ca-bundle", "no CA": "ca-bundle"}[fault]
    assert expected in found.failed()
    assert "dry-run" in found.failed()
    assert found.all_help()


def expired_authority() -> bytes:
    """Return a CA certificate that ended yesterday."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "old")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(9), now - timedelta(1))
    signed = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return signed.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def test_the_secret_is_missing_or_unusable(space: Namespace, webhook: Release) -> None:
    """The Secret with the KSM configuration: missing, without the key, or with a one-time token, which is not printed."""
    space.apply(sleeper("web"))
    token = "US:" + "k" * 43
    states: dict[str, Any] = {
        "does not exist": None,
        "has no key config": {"other": "x"},
        "a one-time token": {"config": token},
    }
    for words, content in states.items():
        space.kubectl("delete", "secret/keeper-credentials", "--ignore-not-found")
        if content is not None:
            space.apply(
                {
                    "apiVersion": "v1",
                    "kind": "Secret",
                    "metadata": {"name": "keeper-credentials"},
                    "stringData": content,
                }
            )
        found = check("--namespace", space.name)
        assert words in found.failed()["ksm-configuration"]
        assert token not in json.dumps(found.findings)


def test_the_additional_ca_is_missing(space: Namespace, webhook: Release) -> None:
    """The ConfigMap with the CA of the way to Keeper: missing, or without the key."""
    space.apply(sleeper("web"))
    for words, content in (("does not exist", None), ("has no key ca.crt", {"other": "x"})):
        space.kubectl("delete", "configmap/local-keeper-ca", "--ignore-not-found")
        if content is not None:
            metadata = {"name": "local-keeper-ca"}
            space.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": content})
        found = check("--namespace", space.name)
        assert words in found.failed()["ca-certificate"]
        (missing,) = found.of("ca-certificate")
        assert "create configmap local-keeper-ca --from-file=ca.crt=FILE" in missing["fix"]


def test_network_policies_of_the_webhook_are_named(webhook: Release) -> None:
    """Those that select its pods, so that a person who reads about a blocked connection knows where to look."""
    for name, labels in (("for-the-webhook", {"app.kubernetes.io/component": "webhook"}), ("other", {"app": "other"})):
        spec = {"podSelector": {"matchLabels": labels}, "ingress": [{}]}
        kind = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}
        webhook.system.apply({**kind, "metadata": {"name": name}, "spec": spec})
    found = check()
    webhook.system.kubectl("delete", "networkpolicy/for-the-webhook", "networkpolicy/other")
    (policy,) = found.of("network-policy")
    assert policy["found"] == "network policies for the webhook: for-the-webhook"


def test_a_pod_from_the_time_when_the_webhook_was_away(space: Namespace, webhook: Release) -> None:
    """With failurePolicy Ignore, a pod is created without its secrets while no replica runs."""
    webhook.install("replicas=0", "failurePolicy=Ignore")
    space.apply(sleeper("lost"))
    webhook.install("failurePolicy=Ignore")
    found = check("--namespace", space.name)
    assert "pod lost asks for injection" in found.failed()["pod-not-injected"]


def test_a_pod_that_cannot_start(space: Namespace, webhook: Release) -> None:
    """The init container fails; the finding has the agent's own sentence."""
    space.apply(sleeper("web", secret="no-such-record"))
    wait_for(Pod(space, "web").last_words, "the init container to end")
    found = check("--namespace", space.name)
    assert "no-such-record" in found.failed()["pod-waiting"]


def test_an_agent_of_another_version(space: Namespace, webhook: Release) -> None:
    """After an upgrade, pods keep the agent that they were created with; that is a warning with the command to restart."""
    space.apply(sleeper("web"))
    Pod(space, "web").ready()
    webhook.install("agent.image.tag=0.9.9")
    found = check("--namespace", space.name)
    assert found.failed() == {}
    (other,) = found.of("agent-version")
    assert IMAGES.rpartition(":")[2] in other["found"]
    assert "0.9.9" in other["found"]


def test_workloads_that_ask_in_the_wrong_place_or_way(space: Namespace, webhook: Release) -> None:
    """Annotations on a Deployment have no effect, and a value that the webhook rejects is found before a pod is created."""
    wanted = sleeper("web")
    for name, outer, inner in (
        ("misplaced", wanted["metadata"]["annotations"], {}),
        ("rejected", {}, {**wanted["metadata"]["annotations"], "keeper.security/refresh-interval": "5x"}),
    ):
        template = {"metadata": {"labels": {"app": name}, "annotations": inner}, "spec": wanted["spec"]}
        spec = {"replicas": 0, "selector": {"matchLabels": {"app": name}}, "template": template}
        metadata = {"name": name, "annotations": outer}
        space.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})
    found = [item["found"] for item in check("--namespace", space.name).findings if item["status"] == "failed"]
    assert any("Deployment/misplaced" in item and "pods do not inherit this" in item for item in found)
    assert any("Deployment/rejected" in item and "'5x' is not a duration" in item for item in found)


def test_a_namespace_that_is_not_served(images: Any, webhook: Release) -> None:
    """The labels of the namespace do not match the selector of any webhook, or there is no such namespace."""
    assert images.namespace
    assert check("--namespace", "no-such-namespace").failed().keys() >= {"namespace"}
    assert "kube-system" in check("--namespace", "kube-system").failed()["namespace"]


def test_waiting_until_it_works(space: Namespace, webhook: Release) -> None:
    """With --wait, a pipeline goes on as soon as nothing fails."""
    system = webhook.system
    system.kubectl("rollout", "restart", WEBHOOK)
    found = check("--namespace", space.name, "--wait", "90")
    assert found.failed() == {}
