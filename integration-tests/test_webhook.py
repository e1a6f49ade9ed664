"""The webhook's own life: replicas replaced, certificates rotated, all of it gone, under a stream of pods."""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import attrs
import pytest
import trustme
from pods import FIGURES, SYSTEM, Json, Keeper, Namespace, container, install, pod, run, settled, wait_for

pytestmark = pytest.mark.alone
WEBHOOK = "deployment/keeper-injector"
CONFIGURATION = f"mutatingwebhookconfiguration/keeper-injector-{SYSTEM}"


SERVED = """
import hashlib, ssl, sys
print(hashlib.sha256(ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((sys.argv[1], 8443)))).hexdigest())
"""
CLIENTS = 3
ENOUGH = 5


@attrs.define
class Stream:
    """What kubectl said of each pod that was created, as it goes on."""

    said: list[str] = attrs.field(factory=list)

    def refused(self) -> list[str]:
        """Return what was not admitted."""
        return [line for line in self.said if not line.startswith("pod/probe-")]

    def goes_on(self) -> None:
        """Wait until some more pods have been created."""
        have = len(self.said)
        wait_for(lambda: len(self.said) >= have + ENOUGH * CLIENTS, "more pods")


@contextmanager
def stream(space: Namespace) -> Iterator[Stream]:
    """Create annotated pods all the time (dry runs: only admission is of interest)."""
    found = Stream()
    over = threading.Event()
    one = pod("probe", {"secret": "api-keys"}, containers=[container()])
    one["metadata"]["generateName"] = f"{one['metadata'].pop('name')}-"
    text = json.dumps(one)
    command = ("create", "--dry-run=server", "--output=name", "--filename=-")

    def create() -> None:
        while not over.is_set():
            found.said.append(space.kubectl(*command, text=text, check=False))

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


def webhooks() -> list[Json]:
    """Return the webhook's pods."""
    listing = ("get", "pods", "--selector=app.kubernetes.io/component=webhook", "--output=json")
    items: list[Json] = json.loads(Namespace(SYSTEM).kubectl(*listing))["items"]
    return items


def test_no_pod_is_refused_while_replicas_are_replaced(space: Namespace) -> None:
    """One is deleted, then all are replaced one by one; the stream goes on until the last of the old ones is gone."""
    system = Namespace(SYSTEM)
    with stream(space) as found:
        system.kubectl("delete", f"pod/{webhooks()[0]['metadata']['name']}", "--wait")
        system.kubectl("rollout", "status", WEBHOOK, "--timeout=120s")
        system.kubectl("rollout", "restart", WEBHOOK)
        system.kubectl("rollout", "status", WEBHOOK, "--timeout=120s")
        settled()
    assert found.refused() == []


def test_a_replica_that_is_killed(space: Namespace) -> None:
    """What ends without a word is missed for seconds, until its endpoint is gone; controllers try again, and no pod is lost."""
    system = Namespace(SYSTEM)
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
        system.kubectl("delete", f"pod/{webhooks()[0]['metadata']['name']}", "--grace-period=0", "--force")
        space.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec})
        system.kubectl("rollout", "status", WEBHOOK, "--timeout=120s")
        space.kubectl("rollout", "status", "deployment/web", "--timeout=120s")
    FIGURES.append(f"of {len(found.said)} creations around the kill of a replica, {len(found.refused())} were refused")
    assert all("failed calling webhook" in line for line in found.refused())
    assert len(found.refused()) < len(found.said) / 4


def test_no_pod_is_refused_while_the_certificate_is_lost(space: Namespace) -> None:
    """Somebody empties the Secret; a replica that starts makes a new CA, and both are trusted."""
    system = Namespace(SYSTEM)
    before = system.get(CONFIGURATION)["webhooks"][0]["clientConfig"]["caBundle"]
    with stream(space) as found:
        system.kubectl("patch", "secret/keeper-injector-tls", "--type=merge", '--patch={"data": null}')
        system.kubectl("rollout", "restart", WEBHOOK)
        system.kubectl("rollout", "status", WEBHOOK, "--timeout=120s")
        settled()
    assert found.refused() == []
    assert system.get(CONFIGURATION)["webhooks"][0]["clientConfig"]["caBundle"] != before


def test_a_certificate_as_cert_manager_makes_it(space: Namespace, injector: Keeper) -> None:
    """A Secret of type kubernetes.io/tls with the CA beside; neither the change to it nor its renewal refuses a pod."""
    system = Namespace(SYSTEM)
    authority = trustme.CA()
    system.apply(secret_of(authority))
    own = system.get(CONFIGURATION)["webhooks"][0]["clientConfig"]["caBundle"]
    both = base64.b64encode(base64.b64decode(own) + authority.cert_pem.bytes()).decode()
    try:
        with stream(space) as found:
            # As one changes a CA: both are trusted first, then the other signs.
            bundle = json.dumps([{"op": "replace", "path": "/webhooks/0/clientConfig/caBundle", "value": both}])
            system.kubectl("patch", CONFIGURATION, "--type=json", f"--patch={bundle}")
            found.goes_on()
            install("tls.mode=secret", "tls.secretName=webhook-tls", f"tls.caBundle={both}")
        assert found.refused() == []
        assert system.get(CONFIGURATION)["webhooks"][0]["clientConfig"]["caBundle"] == both
        rules = system.kubectl(
            "get", "role,rolebinding", "--selector=app.kubernetes.io/name=keeper-injector", "--output=name"
        )
        assert rules == ""
        replaced_without_a_restart(space, injector, secret_of(authority))
    finally:
        install()
        wait_for(
            lambda: system.get(CONFIGURATION)["webhooks"][0]["clientConfig"].get("caBundle") not in {None, both},
            "a CA of the webhook's own",
        )


def secret_of(authority: trustme.CA) -> Json:
    """Return a Secret with a new certificate, as cert-manager writes it."""
    leaf = authority.issue_cert(f"keeper-injector.{SYSTEM}.svc")
    content = {
        "tls.crt": leaf.cert_chain_pems[0].bytes(),
        "tls.key": leaf.private_key_pem.bytes(),
        "ca.crt": authority.cert_pem.bytes(),
    }
    encoded = {name: base64.b64encode(data).decode() for name, data in content.items()}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "webhook-tls"}, "type": "kubernetes.io/tls"}
    return {**secret, "data": encoded}


def replaced_without_a_restart(space: Namespace, injector: Keeper, renewed: Json) -> None:
    """Renew the certificate under a stream; the same pods serve the new one, and no pod is refused."""
    pem = base64.b64decode(renewed["data"]["tls.crt"]).decode()
    expected = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
    before = sorted(item["metadata"]["name"] for item in webhooks())

    def served() -> set[str]:
        shown = ("exec", "deployment/local-keeper", "--", "python3", "-c", SERVED)
        return {injector.namespace.kubectl(*shown, item["status"]["podIP"]).strip() for item in webhooks()}

    with stream(space) as found:
        Namespace(SYSTEM).apply(renewed)
        # Kubelets look at mounted Secrets every minute or so.
        wait_for(lambda: served() == {expected}, "the new certificate", 150)
    assert found.refused() == []
    assert sorted(item["metadata"]["name"] for item in webhooks()) == before
    assert not any(status["restartCount"] for item in webhooks() for status in item["status"]["containerStatuses"])


def test_plain_pods_start_while_no_webhook_runs(space: Namespace) -> None:
    """And annotated ones are refused with a reason, not started bare."""
    # Not by `kubectl scale`: then the field is kubectl's, and Helm refuses to write it.
    install("replicas=0")
    try:
        assert webhooks() == []
        space.pod("plain", {}, containers=[container(security={"runAsUser": 1000})]).ready()
        said = space.apply(pod("annotated", {"secret": "api-keys"}), check=False)
        assert 'failed calling webhook "pods.keeper.security"' in said
    finally:
        install()


def test_admission_is_fast(injector: Keeper) -> None:
    """The API server's own figures for the calls of all these tests: one in a hundred may take half a second."""
    assert injector.address
    series = run("kubectl", "get", "--raw", "/metrics").stdout.splitlines()
    name = "apiserver_admission_webhook_admission_duration_seconds"
    ours = [line for line in series if line.startswith(name) and "pods.keeper.security" in line]
    admitted = [line for line in ours if 'rejected="false"' in line]
    total = sum(float(line.rsplit(" ", 1)[1]) for line in admitted if line.startswith(f"{name}_count"))
    quick = sum(float(line.rsplit(" ", 1)[1]) for line in admitted if 'le="0.5"' in line)
    FIGURES.append(f"{total:.0f} admissions, {quick:.0f} within half a second")
    assert total > 100
    assert quick >= total * 0.99
