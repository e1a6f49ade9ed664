"""The chart is installed, upgraded and uninstalled on a real API server. No pod runs: the tests write what the webhook would write."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from features import version_for_helm
from pods import run, wait_for

CHART = str(Path(__file__).parents[1] / "charts/keeper-injector")
SECRET = "secret/keeper-injector-tls"
CERTIFICATE = {"tls.crt": "Y2VydGlmaWNhdGU=", "tls.key": "a2V5"}
AUTHORITY = base64.b64encode(trustme.CA().cert_pem.bytes()).decode()
# Pods of other tests must start while no webhook runs here.
ELSEWHERE = ("--set", "namespaceSelector.matchLabels.of=nobody")


def helm(cluster: Any, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run helm in the tests' namespace, without checking its exit code."""
    command = ["helm", "--namespace", cluster.namespace, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def succeeds(cluster: Any, *arguments: str) -> str:
    """Run helm and return its output."""
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
    """Write certificate and CA to the fields that the webhook owns."""
    cluster.kubectl("patch", SECRET, "--type=merge", f"--patch={json.dumps({'data': CERTIFICATE})}")
    patch = [{"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": AUTHORITY}]
    cluster.kubectl("patch", configuration(cluster), "--type=json", f"--patch={json.dumps(patch)}")


def state(cluster: Any) -> tuple[Any, Any, Any]:
    """Return the certificate, the CA, and a value that shows that the upgrade was applied."""
    secret = json.loads(cluster.kubectl("get", SECRET, "--output=json"))
    (webhook,) = json.loads(cluster.kubectl("get", configuration(cluster), "--output=json"))["webhooks"]
    return secret.get("data"), webhook["clientConfig"].get("caBundle"), webhook["timeoutSeconds"]


def rendered(cluster: Any, seconds: int) -> str:
    """Render the chart as Argo CD does, for the version of the cluster."""
    options = ("--no-hooks", *version_for_helm(), *ELSEWHERE, "--set", f"timeoutSeconds={seconds}")
    return succeeds(cluster, "template", "keeper-injector", CHART, *options)


def by_helm(cluster: Any) -> None:
    """Upgrade with the merge of this Helm version."""
    succeeds(cluster, "upgrade", "keeper-injector", CHART, *ELSEWHERE, "--set", "timeoutSeconds=7")


def by_comparison(cluster: Any) -> None:
    """Upgrade with the three-way merge of Helm 3 and Argo CD: old rendering, new rendering and live object."""
    cluster.kubectl("apply", "--filename", "-", text=rendered(cluster, 6))
    webhook_has_started(cluster)
    cluster.kubectl("apply", "--filename", "-", text=rendered(cluster, 7))


def by_server_side_apply(cluster: Any) -> None:
    """Upgrade with the merge of Argo CD with `ServerSideApply=true`."""
    options = ("--server-side", "--force-conflicts", "--field-manager=argocd-controller")
    cluster.kubectl("apply", *options, "--filename", "-", text=rendered(cluster, 7))


@pytest.mark.parametrize("upgrade", [by_helm, by_comparison, by_server_side_apply], ids=lambda way: way.__name__)
def test_an_upgrade_keeps_certificate_and_authority(release: Any, upgrade: Any) -> None:
    """The fields that the webhook wrote survive an upgrade by any tool."""
    assert state(release) == (None, None, 5)
    webhook_has_started(release)
    upgrade(release)

    assert state(release) == (CERTIFICATE, AUTHORITY, 7)


def test_a_second_release_is_refused(release: Any) -> None:
    """A second release is rejected, with the name of the first; with separate namespaces it is accepted."""
    refused = helm(release, "install", "second", CHART, "--dry-run=server")

    assert refused.returncode != 0
    assert f"release {release.namespace}/keeper-injector already injects into the same pods" in refused.stderr
    succeeds(release, "install", "second", CHART, "--dry-run=server", *ELSEWHERE)


def test_an_uninstall_leaves_nothing(release: Any) -> None:
    """No object of the release is left, of any kind in the cluster."""
    webhook_has_started(release)

    of_controllers = ("Pod/", "ReplicaSet/", "Endpoints/", "EndpointSlice/")
    assert len([name for name in made(release) if not name.startswith(of_controllers)]) == 13
    succeeds(release, "uninstall", "keeper-injector", "--wait")
    wait_for(lambda: made(release) == [], "the end of all that the release made")


def made(release: Any) -> list[str]:
    """Return the objects of the release; those without a namespace have the release's namespace in their names."""
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
    """Argo CD sees no drift: a second rendering equals the live objects, merged by the client or the server."""
    webhook_has_started(release)
    text = rendered(release, 5)

    for way in ((), ("--server-side", "--force-conflicts", "--field-manager=argocd-controller")):
        release.kubectl("diff", *way, "--filename", "-", text=text)


def test_the_webhook_may_do_what_it_must(release: Any) -> None:
    """The API server grants the webhook's service account access to two objects by name, and to nothing else."""
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


ACCOUNT = "system:serviceaccount:{}:keeper-injector"
RULE = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["secrets"]}
CLIENT = "/webhooks/0/clientConfig"
CHANGES: dict[str, list[dict[str, Any]]] = {
    "a rule for Secrets": [{"op": "add", "path": "/webhooks/0/rules/-", "value": RULE}],
    "other operations": [{"op": "add", "path": "/webhooks/0/rules/0/operations/-", "value": "UPDATE"}],
    "another Service": [{"op": "replace", "path": f"{CLIENT}/service/name", "value": "other"}],
    "a URL": [
        {"op": "remove", "path": f"{CLIENT}/service"},
        {"op": "add", "path": f"{CLIENT}/url", "value": "https://x.example"},
    ],
    "the failure policy": [{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"}],
    "no match condition": [{"op": "remove", "path": "/webhooks/0/matchConditions"}],
    "all namespaces": [{"op": "remove", "path": "/webhooks/0/namespaceSelector"}],
    "the timeout": [{"op": "replace", "path": "/webhooks/0/timeoutSeconds", "value": 1}],
    "another name": [{"op": "replace", "path": "/webhooks/0/name", "value": "other.keeper.security"}],
    "no webhook": [{"op": "remove", "path": "/webhooks/0"}],
    "one more webhook": [
        {"op": "copy", "from": "/webhooks/0", "path": "/webhooks/1"},
        {"op": "replace", "path": "/webhooks/1/name", "value": "other.keeper.security"},
    ],
    "a label": [{"op": "add", "path": "/metadata/labels/a", "value": "b"}],
    "no labels": [{"op": "remove", "path": "/metadata/labels"}],
    "an annotation": [{"op": "add", "path": "/metadata/annotations/a", "value": "b"}],
    "a finalizer": [{"op": "add", "path": "/metadata/finalizers", "value": ["example.com/a"]}],
}
"""Changes of the webhook's configuration that are not its account's to make; each with the CA beside it."""


def as_the_webhook(release: Any, *arguments: str) -> str:
    """Run kubectl as the webhook's service account; return its output, also if it fails."""
    account = ("--as", ACCOUNT.format(release.namespace))
    done = run("kubectl", "--namespace", release.namespace, *arguments, *account, check=False)
    return done.stdout + done.stderr


def test_the_webhook_may_change_only_its_authority(release: Any) -> None:
    """The policy lets the account add and replace caBundle, and refuses every other change of its configuration, alone or beside it."""
    name = configuration(release)

    def patch(operations: list[dict[str, Any]], *more: str) -> str:
        return as_the_webhook(release, "patch", name, "--type=json", f"--patch={json.dumps(operations)}", *more)

    def is_refused(operations: list[dict[str, Any]]) -> bool:
        return "service account may change only caBundle" in patch(operations, "--dry-run=server")

    # API servers apply a policy a moment after it was created.
    wait_for(lambda: is_refused(CHANGES["the timeout"]), "the policy")
    added = {"op": "add", "path": f"{CLIENT}/caBundle", "value": AUTHORITY}
    accepted = [change for change, operations in CHANGES.items() if not is_refused(operations)]
    accepted += [change for change, operations in CHANGES.items() if not is_refused([added, *operations])]
    assert accepted == []

    before = json.loads(release.kubectl("get", name, "--output=json"))
    for value in (AUTHORITY, base64.b64encode(trustme.CA().cert_pem.bytes()).decode()):
        assert "patched" in patch([{**added, "value": value}])
        assert (
            json.loads(release.kubectl("get", name, "--output=json"))["webhooks"][0]["clientConfig"]["caBundle"]
            == value
        )
    after = json.loads(release.kubectl("get", name, "--output=json"))
    del after["webhooks"][0]["clientConfig"]["caBundle"]
    assert after["webhooks"] == before["webhooks"]
    # Others, such as the person who upgrades the chart, are not restricted.
    assert "patched" in release.kubectl("patch", name, "--type=json", f"--patch={json.dumps(CHANGES['the timeout'])}")


def test_the_webhook_reads_and_writes_its_own_secret_only(release: Any) -> None:
    """The account may patch the Secret with its certificate, and neither read nor change nor create another one."""
    data = ("--type=merge", f"--patch={json.dumps({'data': CERTIFICATE})}")
    assert "patched" in as_the_webhook(release, "patch", SECRET, *data)
    release.kubectl("create", "secret", "generic", "other", "--from-literal=a=b")
    for attempt in (
        ("patch", "secret/other", *data),
        ("get", "secret/other"),
        ("get", "secrets"),
        ("delete", SECRET),
        ("create", "secret", "generic", "third"),
    ):
        assert "forbidden" in as_the_webhook(release, *attempt).lower()
    release.kubectl("delete", "secret/other")


def allowed(cluster: Any, verb: str, resource: str, name: str) -> bool:
    """Return whether the API server allows this to the webhook's service account."""
    kind, _, group = resource.partition(".")
    attributes = {"verb": verb, "group": group, "resource": kind, "name": name, "namespace": cluster.namespace}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": ACCOUNT.format(cluster.namespace),
            "resourceAttributes": attributes,
        },
    }
    answer = cluster.kubectl("create", "--output=json", "--filename", "-", text=json.dumps(review))
    return bool(json.loads(answer)["status"]["allowed"])
