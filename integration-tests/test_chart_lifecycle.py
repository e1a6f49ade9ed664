"""Installed, upgraded and uninstalled on a real API server. No pod has to run: the tests write what the webhook would."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from pods import wait_for

CHART = str(Path(__file__).parents[1] / "charts/keeper-injector")
SECRET = "secret/keeper-injector-tls"
CERTIFICATE = {"tls.crt": "Y2VydGlmaWNhdGU=", "tls.key": "a2V5"}
AUTHORITY = base64.b64encode(trustme.CA().cert_pem.bytes()).decode()
# Pods of other tests go their way while no webhook runs here.
ELSEWHERE = ("--set", "namespaceSelector.matchLabels.of=nobody")


def helm(cluster: Any, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run helm in the tests' namespace; its exit code is the caller's business."""
    command = ["helm", "--namespace", cluster.namespace, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def succeeds(cluster: Any, *arguments: str) -> str:
    """Run helm; returns what it prints."""
    done = helm(cluster, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(name="release")
def _release(cluster: Any) -> Iterator[Any]:
    """The cluster with a release whose webhook has not started."""
    succeeds(cluster, "install", "keeper-injector", CHART, *ELSEWHERE)
    yield cluster
    succeeds(cluster, "uninstall", "keeper-injector", "--ignore-not-found")


def configuration(cluster: Any) -> str:
    """Name the release's webhook configuration as kubectl does."""
    return f"mutatingwebhookconfiguration/keeper-injector-{cluster.namespace}"


def webhook_has_started(cluster: Any) -> None:
    """Write certificate and CA where the webhook writes them, as fields of its own."""
    cluster.kubectl("patch", SECRET, "--type=merge", f"--patch={json.dumps({'data': CERTIFICATE})}")
    patch = [{"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": AUTHORITY}]
    cluster.kubectl("patch", configuration(cluster), "--type=json", f"--patch={json.dumps(patch)}")


def state(cluster: Any) -> tuple[Any, Any, Any]:
    """Return the certificate, the CA, and a value by which one sees that the upgrade has arrived."""
    secret = json.loads(cluster.kubectl("get", SECRET, "--output=json"))
    (webhook,) = json.loads(cluster.kubectl("get", configuration(cluster), "--output=json"))["webhooks"]
    return secret.get("data"), webhook["clientConfig"].get("caBundle"), webhook["timeoutSeconds"]


def rendered(cluster: Any, seconds: int) -> str:
    return succeeds(cluster, "template", "keeper-injector", CHART, *ELSEWHERE, "--set", f"timeoutSeconds={seconds}")


def by_helm(cluster: Any) -> None:
    """Merge as this version of Helm does."""
    succeeds(cluster, "upgrade", "keeper-injector", CHART, *ELSEWHERE, "--set", "timeoutSeconds=7")


def by_comparison(cluster: Any) -> None:
    """Merge as Helm 3 and Argo CD do: what was said, what is said now, and what is there."""
    cluster.kubectl("apply", "--filename", "-", text=rendered(cluster, 6))
    webhook_has_started(cluster)
    cluster.kubectl("apply", "--filename", "-", text=rendered(cluster, 7))


def by_server_side_apply(cluster: Any) -> None:
    """Merge as Argo CD does with `ServerSideApply=true`."""
    options = ("--server-side", "--force-conflicts", "--field-manager=argocd-controller")
    cluster.kubectl("apply", *options, "--filename", "-", text=rendered(cluster, 7))


@pytest.mark.parametrize("upgrade", [by_helm, by_comparison, by_server_side_apply], ids=lambda way: way.__name__)
def test_an_upgrade_keeps_certificate_and_authority(release: Any, upgrade: Any) -> None:
    """What the webhook wrote outlives an upgrade, whoever makes it."""
    assert state(release) == (None, None, 5)
    webhook_has_started(release)
    upgrade(release)

    assert state(release) == (CERTIFICATE, AUTHORITY, 7)


def test_a_second_release_is_refused(release: Any) -> None:
    """With the name of the first, before anything of it is there; with namespaces of its own it is not."""
    refused = helm(release, "install", "second", CHART, "--dry-run=server")

    assert refused.returncode != 0
    assert f"release {release.namespace}/keeper-injector already injects into the same pods" in refused.stderr
    succeeds(release, "install", "second", CHART, "--dry-run=server", *ELSEWHERE)


def test_an_uninstall_leaves_nothing(release: Any) -> None:
    """No object of the release, of whatever kind the cluster has."""
    webhook_has_started(release)

    of_controllers = ("Pod/", "ReplicaSet/", "Endpoints/", "EndpointSlice/")
    assert len([name for name in made(release) if not name.startswith(of_controllers)]) == 11
    succeeds(release, "uninstall", "keeper-injector", "--wait")
    wait_for(lambda: made(release) == [], "the end of all that the release made")


def made(release: Any) -> list[str]:
    """Return what there is of the release; objects without a namespace have that of their release in their names."""
    kinds = release.kubectl("api-resources", "--verbs=list", "--output=name").split()
    selector = ("--selector=app.kubernetes.io/part-of=keeper-injector", "--all-namespaces", "--output=json")
    found = json.loads(release.kubectl("get", ",".join(kinds), *selector))["items"]
    return [
        f"{item['kind']}/{item['metadata']['name']}"
        for item in found
        if item["metadata"].get("namespace") == release.namespace
        or item["metadata"]["name"] == f"keeper-injector-{release.namespace}"
    ]


def test_a_running_release_has_not_drifted(release: Any) -> None:
    """What Argo CD compares: rendered once more, nothing differs from what is there, merged by client or by server."""
    webhook_has_started(release)
    text = rendered(release, 5)

    for way in ((), ("--server-side", "--force-conflicts", "--field-manager=argocd-controller")):
        release.kubectl("diff", *way, "--filename", "-", text=text)


def test_the_webhook_may_do_what_it_must(release: Any) -> None:
    """The API server's own answers about the webhook's service account: two objects by name, nothing besides."""
    of_admission = "mutatingwebhookconfigurations.admissionregistration.k8s.io"
    verbs = ("get", "list", "watch", "create", "update", "patch", "delete")
    may = {
        f"{resource} {name or 'any'}": [verb for verb in verbs if allowed(release, verb, resource, name)]
        for resource, name in [
            *(("secrets", "keeper-injector-tls"), ("secrets", "keeper-credentials"), ("secrets", "")),
            *((of_admission, f"keeper-injector-{release.namespace}"), (of_admission, "another"), (of_admission, "")),
            *(("pods", ""), ("configmaps", "keeper-injector")),
        ]
    }

    assert {what: verbs for what, verbs in may.items() if verbs} == {
        "secrets keeper-injector-tls": ["get", "patch"],
        f"{of_admission} keeper-injector-{release.namespace}": ["get", "patch"],
    }


def allowed(cluster: Any, verb: str, resource: str, name: str) -> bool:
    """Ask the API server whether the webhook's service account may."""
    kind, _, group = resource.partition(".")
    attributes = {"verb": verb, "group": group, "resource": kind, "name": name, "namespace": cluster.namespace}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": f"system:serviceaccount:{cluster.namespace}:keeper-injector",
            "resourceAttributes": attributes,
        },
    }
    answer = cluster.kubectl("create", "--output=json", "--filename", "-", text=json.dumps(review))
    return bool(json.loads(answer)["status"]["allowed"])
