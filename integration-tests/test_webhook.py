"""The webhook keeps admitting pods while its replicas are replaced and its certificates rotate, and recovers from a total loss.

The tests use a separate release, so that they do not disturb other tests.
"""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import pytest
import trustme
from keeper import Keeper
from kubernetes.client import ApiException
from pods import FIGURES, Json, Namespace, api, container, pod, run, wait_for
from releases import Release, own_release

WEBHOOK = "deployment/keeper-injector"
CLIENTS = 3
PAUSE = 0.1
"""Seconds between two pods of one client."""
ENOUGH = 20


@pytest.fixture(name="release", scope="module")
def _release(images: Any) -> Iterator[Release]:
    """A release that no other test file uses."""
    assert images.namespace
    with own_release("webhook") as release:
        yield release


@pytest.fixture(name="webhook")
def _webhook(release: Release) -> Release:
    """The release in its initial state, whatever the previous test changed."""
    release.install()
    wait_for(lambda: authorities(release), "a CA that the API server trusts")
    return release


@attrs.define
class Stream:
    """A running stream of pods."""

    admitted: int = 0
    refused: list[str] = attrs.field(factory=list)
    """Errors of the pods that were not admitted."""

    def goes_on(self) -> None:
        """Wait until some more pods have been created."""
        until = self.admitted + ENOUGH * CLIENTS
        wait_for(lambda: self.admitted >= until, "more pods")


@contextmanager
def stream(space: Namespace) -> Iterator[Stream]:
    """Create annotated pods continuously, as dry runs, because only admission matters."""
    found = Stream()
    over, lock = threading.Event(), threading.Lock()
    one = pod("probe", {"secret": "api-keys"}, containers=[container()])
    one["metadata"]["generateName"] = f"{one['metadata'].pop('name')}-"

    def create() -> None:
        while not over.wait(PAUSE):
            try:
                api().create_namespaced_pod(space.name, one, dry_run="All")
            except ApiException as refusal:
                with lock:
                    found.refused.append(str(refusal.body))
            else:
                with lock:
                    found.admitted += 1

    threads = [threading.Thread(target=create) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        found.goes_on()
        yield found
        found.goes_on()
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_no_pod_is_refused_while_replicas_are_replaced(space: Namespace, webhook: Release) -> None:
    """One pod is deleted, then all are replaced one by one; every pod is admitted until the last old one has ended."""
    system = webhook.system
    with stream(space) as found:
        system.kubectl("delete", f"pod/{webhook.webhooks()[0]['metadata']['name']}", "--wait")
        system.kubectl("rollout", "status", WEBHOOK, "--timeout=120s")
        system.kubectl("rollout", "restart", WEBHOOK)
        system.kubectl("rollout", "status", WEBHOOK, "--timeout=120s")
        webhook.settled()
    assert found.refused == []


def test_a_replica_that_is_killed(space: Namespace, webhook: Release) -> None:
    """A webhook pod that is killed causes errors for seconds, until its endpoint is removed; controllers retry, and no pod is lost."""
    system = webhook.system
    wanted = pod(
        "web", {"secret": "api-keys", "init-only": "true"}, containers=[container(security={"runAsUser": 1000})]
    )
    template = {"metadata": {"labels": {"app": "web"}, "annotations": wanted["metadata"]["annotations"]}}
    spec = {
        "replicas": 10,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {**template, "spec": wanted["spec"]},
    }
    with stream(space) as found:
        system.kubectl("delete", f"pod/{webhook.webhooks()[0]['metadata']['name']}", "--grace-period=0", "--force")
        space.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec})
        system.kubectl("rollout", "status", WEBHOOK, "--timeout=120s")
        space.kubectl("rollout", "status", "deployment/web", "--timeout=120s")
    total = found.admitted + len(found.refused)
    FIGURES.append(f"of {total} creations around the kill of a replica, {len(found.refused)} were refused")
    assert all("failed calling webhook" in said for said in found.refused)
    assert len(found.refused) < total / 4


def test_no_pod_is_refused_while_the_certificate_is_lost(space: Namespace, webhook: Release) -> None:
    """After the Secret is emptied, a starting replica creates a new CA, and both CAs are trusted."""
    system = webhook.system
    before = authorities(webhook)
    with stream(space) as found:
        system.kubectl("patch", "secret/keeper-injector-tls", "--type=merge", '--patch={"data": null}')
        system.kubectl("rollout", "restart", WEBHOOK)
        system.kubectl("rollout", "status", WEBHOOK, "--timeout=120s")
        webhook.settled()
    assert found.refused == []
    assert authorities(webhook) != before


def authorities(webhook: Release) -> str:
    """Return the CA bundle of the API server: PEM as base64."""
    (entry,) = webhook.system.get(webhook.configuration)["webhooks"]
    return str(entry["clientConfig"].get("caBundle", ""))


def test_helm_test_asks_the_webhook(webhook: Release) -> None:
    """`helm test` succeeds while a webhook pod is ready, fails while none is, and prints what its pod saw."""
    test = ("helm", "test", "keeper-injector", "--namespace", webhook.name, "--logs", "--timeout=90s")
    succeeded = run(*test).stdout
    address = webhook.system.get("service/keeper-injector")["spec"]["clusterIP"]
    assert f"https://{address}:443/readyz 200" in succeeded
    webhook.install("replicas=0")
    failed = run(*test, check=False)
    assert failed.returncode != 0
    assert "urlopen error" in failed.stdout + failed.stderr
    webhook.system.kubectl("delete", "pod/keeper-injector-test", "--ignore-not-found")


def test_plain_pods_start_while_no_webhook_runs(space: Namespace, webhook: Release) -> None:
    """Annotated pods are rejected with a reason; they do not start without secrets."""
    # Do not use `kubectl scale`: kubectl would own the field, and Helm would refuse to change it.
    webhook.install("replicas=0")
    assert webhook.webhooks() == []
    space.pod("plain", {}, containers=[container(security={"runAsUser": 1000})]).ready()
    said = space.apply(pod("annotated", {"secret": "api-keys"}), check=False)
    assert 'failed calling webhook "pods.keeper.security"' in said


def test_a_certificate_as_cert_manager_makes_it(space: Namespace, keeper: Keeper, webhook: Release) -> None:
    """With a Secret of type kubernetes.io/tls and its CA, neither the change to it nor a renewal rejects a pod."""
    system, authority = webhook.system, trustme.CA()
    system.apply(secret_of(authority, webhook))
    both = base64.b64encode(base64.b64decode(authorities(webhook)) + authority.cert_pem.bytes()).decode()
    with stream(space) as found:
        # A CA is replaced in two steps: trust both, then use the new one.
        bundle = json.dumps([{"op": "replace", "path": "/webhooks/0/clientConfig/caBundle", "value": both}])
        system.kubectl("patch", webhook.configuration, "--type=json", f"--patch={bundle}")
        found.goes_on()
        webhook.install("tls.mode=secret", "tls.secretName=webhook-tls", f"tls.caBundle={both}")
    assert found.refused == []
    assert authorities(webhook) == both
    ours = ("role,rolebinding", "--selector=app.kubernetes.io/name=keeper-injector", "--output=name")
    assert system.kubectl("get", *ours) == ""
    replaced_without_a_restart(space, keeper, webhook, secret_of(authority, webhook))


def secret_of(authority: trustme.CA, webhook: Release) -> Json:
    """Return a Secret with a new certificate in the form that cert-manager writes."""
    leaf = authority.issue_cert(f"keeper-injector.{webhook.system.name}.svc")
    content = {
        "tls.crt": leaf.cert_chain_pems[0].bytes(),
        "tls.key": leaf.private_key_pem.bytes(),
        "ca.crt": authority.cert_pem.bytes(),
    }
    encoded = {name: base64.b64encode(data).decode() for name, data in content.items()}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "webhook-tls"}, "type": "kubernetes.io/tls"}
    return {**secret, "data": encoded}


def replaced_without_a_restart(space: Namespace, keeper: Keeper, webhook: Release, renewed: Json) -> None:
    """The certificate is renewed while pods are created: the same webhook pods serve the new one, and no pod is rejected."""
    pem = base64.b64decode(renewed["data"]["tls.crt"]).decode()
    expected = ssl.PEM_cert_to_DER_cert(pem)
    before = sorted(item["metadata"]["name"] for item in webhook.webhooks())

    def served() -> set[bytes]:
        shown = [keeper.certificate_of(item["status"]["podIP"]) for item in webhook.webhooks()]
        return set(map(ssl.PEM_cert_to_DER_cert, shown))

    with stream(space) as found:
        webhook.system.apply(renewed)
        # Kubelets update mounted Secrets about once a minute.
        wait_for(lambda: served() == {expected}, "the new certificate")
    assert found.refused == []
    assert sorted(item["metadata"]["name"] for item in webhook.webhooks()) == before
    assert not any(
        status["restartCount"] for item in webhook.webhooks() for status in item["status"]["containerStatuses"]
    )
