"""Checks of the installed webhook: its configuration, its replicas, its certificate, and what it does to a pod."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from kubernetes import client

from keeper_injector_common.annotations.table import INJECTED, PREFIX
from keeper_injector_common.cli.findings import Finding, failed, ok, warning
from keeper_injector_common.json_values import Json, as_object, as_objects
from keeper_injector_webhook.cluster_check.api import Api, ForbiddenError, RefusedError
from keeper_injector_webhook.cluster_check.certificate import check_certificate
from keeper_injector_webhook.cluster_check.configurations import WEBHOOK, Installation, selects
from keeper_injector_webhook.errors import ClusterError

_INSTALL = "helm upgrade --install keeper-injector charts/keeper-injector --namespace keeper-injector --create-namespace --wait"
"""As in the documentation; the same command installs and repairs."""
_CALLS = "troubleshooting.md#failed-calling-webhook-podskeepersecurity"
_SETTINGS = "checksum/settings"
"""The annotation in which the chart stores a digest of the settings, so that changed settings replace the pods."""


def labels_of(api: Api, namespace: str) -> Json:
    """Return the labels of a namespace. Raises ClusterError."""
    found = api.read(f"namespace {namespace}", api.core().read_namespace, namespace)
    return as_object(found["metadata"].get("labels"))


def check_installations(found: Sequence[Installation]) -> Iterator[Finding]:
    """Report whether there is a webhook at all, and which ones."""
    if not found:
        page = "installation.md#installation"
        yield failed("webhook-configuration", "no MutatingWebhookConfiguration of Keeper Injector", _INSTALL, page)
    for item in found:
        where = f"{item.configuration}, which calls {item.namespace}/{item.service}"
        on_failure = item.webhook.get("failurePolicy")
        yield ok("webhook-configuration", f"webhook configuration {where}; failurePolicy {on_failure}")


def check_installation(api: Api, item: Installation, namespace: str) -> Iterator[Finding]:
    """Check one installed webhook, and what it does to pods in *namespace*."""
    pods = []
    try:
        deployment = api.read(
            "the webhook's Deployment",
            client.AppsV1Api(api.connection).read_namespaced_deployment,
            item.service,
            item.namespace,
        )
        selector = ",".join(f"{key}={value}" for key, value in deployment["spec"]["selector"]["matchLabels"].items())
        pods = list(
            api.items("the webhook's pods", api.core().list_namespaced_pod, item.namespace, label_selector=selector)
        )
        yield from _replicas(api, item, deployment, pods)
    except ClusterError as error:
        right = "" if isinstance(error, ForbiddenError) else _INSTALL
        report = warning if isinstance(error, ForbiddenError) else failed
        yield report("webhook-replicas", str(error), right, _CALLS)
    yield from check_certificate(api, item, [pod for pod in pods if is_ready(pod)], datetime.now(UTC))
    yield from _network_policies(api, item, pods)
    try:
        is_called = item.serves(labels_of(api, namespace))
    except ClusterError as error:
        yield warning("dry-run", f"{error}; no dry run was made")
        return
    if is_called:
        yield from _dry_runs(api, item, namespace)
    else:
        found = f"{item.configuration} is not called for pods in namespace {namespace}, so no dry run was made"
        yield ok("dry-run", f"{found}; choose one with --namespace")


def is_ready(pod: Json) -> bool:
    """Return whether *pod* is ready and not being deleted."""
    conditions = as_objects(as_object(pod.get("status")).get("conditions"))
    ready = any(item.get("type") == "Ready" and item.get("status") == "True" for item in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]


def _replicas(api: Api, item: Installation, deployment: Json, pods: Sequence[Json]) -> Iterator[Finding]:
    wanted = int(deployment["spec"].get("replicas", 1))
    ready = [pod for pod in pods if is_ready(pod)]
    describe = f"kubectl -n {item.namespace} describe pods -l app.kubernetes.io/component=webhook"
    if not ready:
        found = f"none of {wanted} webhook pods is ready, so annotated pods are rejected or not injected"
        yield failed("webhook-replicas", found, describe, _CALLS)
        return
    if len(ready) < wanted:
        yield warning("webhook-replicas", f"{len(ready)} of {wanted} webhook pods are ready", describe, _CALLS)
    else:
        yield ok("webhook-replicas", f"{len(ready)} of {wanted} webhook pods are ready")
    nodes = sorted({str(pod["spec"].get("nodeName")) for pod in ready})
    if len(ready) > 1 and len(nodes) == 1 and _has_other_nodes(api):
        found = f"all webhook pods are on node {nodes[0]}; if it fails, no annotated pod can be created"
        yield warning("webhook-spread", found, describe, "production.md#availability")
    else:
        yield ok("webhook-spread", f"the webhook runs on {', '.join(nodes)}")
    template = as_object(deployment["spec"]["template"]["metadata"].get("annotations"))
    old = [
        pod for pod in pods if as_object(pod["metadata"].get("annotations")).get(_SETTINGS) != template.get(_SETTINGS)
    ]
    if old:
        yield warning(
            "webhook-settings",
            f"{len(old)} webhook pods still answer with previous settings",
            f"kubectl -n {item.namespace} rollout status deployment/{item.service}",
            "production.md#upgrades",
        )
    else:
        yield ok("webhook-settings", "every webhook pod has the settings of the last helm upgrade")


def _has_other_nodes(api: Api) -> bool:
    try:
        return len(list(api.items("nodes", api.core().list_node))) > 1
    except ClusterError:
        return True


def _network_policies(api: Api, item: Installation, pods: Sequence[Json]) -> Iterator[Finding]:
    """Name the policies that apply to the webhook; whether they let API servers through is shown by the dry runs."""
    call = client.NetworkingV1Api(api.connection).list_namespaced_network_policy
    try:
        policies = list(api.items("network policies", call, item.namespace))
    except ClusterError as error:
        yield warning("network-policy", str(error))
        return
    labels = as_object(pods[0]["metadata"].get("labels")) if pods else {}
    names = [str(policy["metadata"]["name"]) for policy in policies if selects(policy["spec"]["podSelector"], labels)]
    yield ok("network-policy", f"network policies for the webhook: {', '.join(names) or 'none'}")


def _dry_runs(api: Api, item: Installation, namespace: str) -> Iterator[Finding]:
    """Create two pods as a server-side dry run: a bare one must stay as it is, an annotated one must be injected."""
    bare = _pod({})
    annotated = _pod({f"{PREFIX}inject": "true", f"{PREFIX}secret": "keeper-injector-check"})
    try:
        created, _ = _dry_run(api, namespace, bare)
    except ForbiddenError:
        yield warning("dry-run", f"you may not create pods in namespace {namespace}, so no dry run was made")
        return
    except ClusterError as error:
        yield _refused(error, item, namespace, "a pod without annotations")
        return
    if INJECTED in as_object(created["metadata"].get("annotations")):
        yield failed(
            "dry-run-bare", "a pod without annotations was injected", "remove inject from the chart's defaults"
        )
    else:
        yield ok("dry-run-bare", f"a pod without annotations in namespace {namespace} stays as it is")
    try:
        created, seconds = _dry_run(api, namespace, annotated)
    except ClusterError as error:
        yield _refused(error, item, namespace, "an annotated pod")
        return
    if INJECTED in as_object(created["metadata"].get("annotations")):
        yield ok(
            "dry-run", f"an annotated pod in namespace {namespace} is injected in {seconds * 1000:.0f} ms", seconds
        )
    else:
        yield failed(
            "dry-run",
            f"an annotated pod in namespace {namespace} was created, but not injected",
            f"compare the namespace's labels with the namespaceSelector of {item.configuration}, and read the webhook's log",
            "troubleshooting.md#troubleshooting",
        )


def _dry_run(api: Api, namespace: str, pod: Json) -> tuple[Json, float]:
    start = time.monotonic()
    created = api.read("pods", api.core().create_namespaced_pod, namespace, pod, dry_run="All")
    return created, time.monotonic() - start


def _refused(error: ClusterError, item: Installation, namespace: str, what: str) -> Finding:
    text = str(error)
    if f'admission webhook "{WEBHOOK}" denied' in text:
        found = f"the webhook answers, and rejects the pod of this check: {text.partition('denied the request: ')[2]}"
        return warning("dry-run", found, "check your own manifest: keeper-injector preview FILE")
    if f'webhook "{WEBHOOK}"' in text:
        return failed(
            "dry-run",
            f"{what} is rejected, because API servers cannot call the webhook: {_reason(text)}",
            _right(text, item),
            _CALLS,
        )
    if isinstance(error, RefusedError):
        return warning(
            "dry-run",
            f"{what} was rejected, and not by the webhook: {text}",
            f"check another namespace than {namespace}",
        )
    return warning("dry-run", text)


def _reason(text: str) -> str:
    return re.sub(r'^.*?failed calling webhook "[^"]*": (failed to call webhook: )?(Post "[^"]*": )?', "", text)


def _right(text: str, item: Installation) -> str:
    if "x509" in text or "certificate" in text:
        return f"kubectl -n {item.namespace} rollout restart deployment/{item.service}"
    if "no endpoints" in text or "connection refused" in text:
        return f"kubectl -n {item.namespace} get pods"
    if "not found" in text:
        return _INSTALL
    return f"open the webhook's port from the API servers: network policies in {item.namespace}, firewalls, chart value hostNetwork"


def _pod(annotations: Json) -> Json:
    """Return a pod that every Pod Security level accepts; it is never created."""
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True}
    container = {
        "name": "app",
        "image": "keeper-injector-check",
        "command": ["true"],
        "securityContext": {**security, "seccompProfile": {"type": "RuntimeDefault"}},
        "resources": {name: {"cpu": "1m", "memory": "1Mi"} for name in ("requests", "limits")},
    }
    metadata = {"generateName": "keeper-injector-check-", "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}
