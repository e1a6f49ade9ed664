"""The webhook's own life: replicas replaced, certificates rotated, all of it gone, under a stream of pods."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import trustme
from pods import FIGURES, SYSTEM, Keeper, Namespace, container, install, pod, run, wait_for

WEBHOOK = "deployment/keeper-injector"
CONFIGURATION = f"mutatingwebhookconfiguration/keeper-injector-{SYSTEM}"


@contextmanager
def stream(space: Namespace) -> Iterator[list[str]]:
    """Create annotated pods all the time (dry runs: only admission is of interest); yields what kubectl said of each."""
    said: list[str] = []
    over = threading.Event()
    one = pod("probe", {"secret": "api-keys"}, containers=[container()])
    one["metadata"]["generateName"] = f"{one['metadata'].pop('name')}-"

    def create() -> None:
        text = json.dumps(one)
        while not over.is_set():
            said.append(
                space.kubectl("create", "--dry-run=server", "--output=name", "--filename=-", text=text, check=False)
            )

    thread = threading.Thread(target=create)
    thread.start()
    try:
        yield said
    finally:
        over.set()
        thread.join()


def refused(said: list[str]) -> list[str]:
    """Return what was not admitted."""
    return [line for line in said if not line.startswith("pod/probe-")]


def test_no_pod_is_refused_while_replicas_are_replaced(space: Namespace, injector: Keeper) -> None:
    """One killed, then all replaced one by one."""
    system = injector.namespace
    with stream(space) as said:
        names = system.kubectl("get", "pods", "--selector=app.kubernetes.io/component=webhook", "--output=name").split()
        system.kubectl("delete", names[0], "--wait=false")
        system.kubectl("rollout", "status", WEBHOOK, "--timeout=120s")
        system.kubectl("rollout", "restart", WEBHOOK)
        system.kubectl("rollout", "status", WEBHOOK, "--timeout=120s")
    assert refused(said) == []
    assert len(said) > 10


def test_no_pod_is_refused_while_the_certificate_is_lost(space: Namespace, injector: Keeper) -> None:
    """Somebody empties the Secret; a replica that starts makes a new CA, and both are trusted."""
    system = injector.namespace
    before = system.get(CONFIGURATION)["webhooks"][0]["clientConfig"]["caBundle"]
    with stream(space) as said:
        system.kubectl("patch", "secret/keeper-injector-tls", "--type=merge", '--patch={"data": null}')
        system.kubectl("rollout", "restart", WEBHOOK)
        system.kubectl("rollout", "status", WEBHOOK, "--timeout=120s")
        time.sleep(3)
    assert refused(said) == []
    assert system.get(CONFIGURATION)["webhooks"][0]["clientConfig"]["caBundle"] != before


def test_a_certificate_as_cert_manager_makes_it(space: Namespace, injector: Keeper) -> None:
    """A Secret of type kubernetes.io/tls with the CA beside; the change from the webhook's own refuses no pod."""
    system = injector.namespace
    authority = trustme.CA()
    leaf = authority.issue_cert(f"keeper-injector.{SYSTEM}.svc")
    content = {
        "tls.crt": leaf.cert_chain_pems[0].bytes(),
        "tls.key": leaf.private_key_pem.bytes(),
        "ca.crt": authority.cert_pem.bytes(),
    }
    encoded = {name: base64.b64encode(data).decode() for name, data in content.items()}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "webhook-tls"}, "type": "kubernetes.io/tls"}
    system.apply({**secret, "data": encoded})
    own = system.get(CONFIGURATION)["webhooks"][0]["clientConfig"]["caBundle"]
    both = base64.b64encode(base64.b64decode(own) + authority.cert_pem.bytes()).decode()
    try:
        with stream(space) as said:
            # As one changes a CA: both are trusted first, then the other signs.
            bundle = json.dumps([{"op": "replace", "path": "/webhooks/0/clientConfig/caBundle", "value": both}])
            system.kubectl("patch", CONFIGURATION, "--type=json", f"--patch={bundle}")
            time.sleep(3)
            install("tls.mode=secret", "tls.secretName=webhook-tls", f"tls.caBundle={both}")
            system.kubectl("rollout", "status", WEBHOOK, "--timeout=120s")
            time.sleep(2)
        assert refused(said) == []
        assert system.get(CONFIGURATION)["webhooks"][0]["clientConfig"]["caBundle"] == both
        rules = system.kubectl(
            "get", "role,rolebinding", "--selector=app.kubernetes.io/name=keeper-injector", "--output=name"
        )
        assert rules == ""
    finally:
        install()
        system.kubectl("rollout", "status", WEBHOOK, "--timeout=120s")
        wait_for(
            lambda: system.get(CONFIGURATION)["webhooks"][0]["clientConfig"].get("caBundle") not in {None, both},
            "a CA of the webhook's own",
        )


def test_plain_pods_start_while_no_webhook_runs(space: Namespace, injector: Keeper) -> None:
    """And annotated ones are refused with a reason, not started bare."""
    system = injector.namespace
    system.kubectl("scale", WEBHOOK, "--replicas=0")
    try:
        wait_for(
            lambda: (
                not system.kubectl(
                    "get", "pods", "--selector=app.kubernetes.io/component=webhook", "--output=name"
                ).strip()
            ),
            "no webhook",
        )
        space.pod("plain", {}, containers=[container(security={"runAsUser": 1000})]).ready()
        said = space.apply(pod("annotated", {"secret": "api-keys"}), check=False)
        assert 'failed calling webhook "pods.keeper.security"' in said
    finally:
        install()
        system.kubectl("rollout", "status", WEBHOOK, "--timeout=120s")


def test_admission_is_fast(injector: Keeper) -> None:
    """The API server's own figures for the calls of all these tests: not one took longer than half a second."""
    assert injector.address
    series = run("kubectl", "get", "--raw", "/metrics").stdout.splitlines()
    name = "apiserver_admission_webhook_admission_duration_seconds"
    ours = [line for line in series if line.startswith(name) and "pods.keeper.security" in line]
    admitted = [line for line in ours if 'rejected="false"' in line]
    total = sum(float(line.rsplit(" ", 1)[1]) for line in admitted if line.startswith(f"{name}_count"))
    quick = sum(float(line.rsplit(" ", 1)[1]) for line in admitted if 'le="0.5"' in line)
    FIGURES.append(f"{total:.0f} admissions, {quick:.0f} within half a second")
    assert quick >= total * 0.99
