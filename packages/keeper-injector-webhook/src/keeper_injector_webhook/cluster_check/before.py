"""Checks before installation: does this cluster have what the chart needs, and may this user install it?"""

from __future__ import annotations

import re
from collections.abc import Iterator

from kubernetes import client

from keeper_injector_common.cli.findings import Finding, failed, ok, warning
from keeper_injector_common.json_values import Json, as_object, as_objects
from keeper_injector_webhook.cluster_check.api import Api, ForbiddenError
from keeper_injector_webhook.cluster_check.features import (
    ENV_FILES,
    NATIVE_SIDECAR,
    OLDEST,
    RESTART_ALL,
    Feature,
    Version,
)

_NAMESPACED = (
    ("apps", "deployments"),
    ("", "services"),
    ("", "serviceaccounts"),
    ("", "configmaps"),
    ("", "secrets"),
    ("policy", "poddisruptionbudgets"),
    ("rbac.authorization.k8s.io", "roles"),
    ("rbac.authorization.k8s.io", "rolebindings"),
)
_CLUSTER_WIDE = (
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
    ("rbac.authorization.k8s.io", "clusterroles"),
    ("rbac.authorization.k8s.io", "clusterrolebindings"),
)
_PRIVILEGED, _LEVEL = "privileged", "pod-security.kubernetes.io/enforce"
_MESHES = {"istio": "Istio", "linkerd": "Linkerd", "consul": "Consul", "kuma": "Kuma"}


def check_before(api: Api, namespace: str) -> Iterator[Finding]:
    """Check what the chart needs to be installed in *namespace*."""
    server = api_version(api)
    yield api_server(str(server.get("gitVersion")), api.server)
    yield from _kubelets(api, server)
    yield _rights(api, namespace)
    yield from _other_webhooks(api)
    yield _pod_security(api)


def api_version(api: Api) -> Json:
    """Return what ``GET /version`` answers."""
    return api.read("the API server's version", client.VersionApi(api.connection).get_code)


def minor(text: str) -> Version:
    """Return the minor release in *text*, such as ``v1.33.4-eks-1``; ``(0, 0)`` without one."""
    found = re.match(r"v?(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def api_server(name: str, address: str) -> Finding:
    """Return the finding about an API server of version *name*, such as ``v1.33.4-eks-1``."""
    if minor(name) < OLDEST:
        return failed(
            "kubernetes-version",
            f"the API server {address} is Kubernetes {name}, and the chart accepts {_text(OLDEST)} or newer",
            f"upgrade it to {_text(OLDEST)} or newer",
            "installation.md#versions-of-kubernetes",
        )
    return ok("kubernetes-version", f"Kubernetes {name} at {address} is {_text(OLDEST)} or newer")


def kubelets(oldest: Version, nodes: int) -> Finding:
    """Return the finding about kubelets, which may be three minor versions older than their API server."""
    if not NATIVE_SIDECAR.is_in(oldest):
        return failed(
            "kubelets",
            f"a node runs kubelet {_text(oldest)}, which has no native sidecars",
            "upgrade the node; until then, annotate pods with keeper.security/sidecar: classic",
        )
    if oldest < OLDEST:
        return warning(
            "kubelets",
            f"a node runs kubelet {_text(oldest)}, and the oldest tested version is {_text(OLDEST)}",
            "upgrade the node",
        )
    return ok("kubelets", f"the oldest kubelet of {nodes} node{'' if nodes == 1 else 's'} is {_text(oldest)}")


def _text(version: Version) -> str:
    return "{}.{}".format(*version)


def _kubelets(api: Api, server: Json) -> Iterator[Finding]:
    """Check the kubelets, which may be older than the API server, and the features that depend on them."""
    try:
        nodes = list(api.items("nodes", api.core().list_node))
    except ForbiddenError:
        yield warning(
            "kubelets",
            "you may not list nodes, so it is unknown what the kubelets support",
            "leave the chart value envFiles at auto",
        )
        return
    versions = {str(as_object(as_object(node.get("status")).get("nodeInfo")).get("kubeletVersion")) for node in nodes}
    oldest = min(map(minor, versions), default=minor(str(server.get("gitVersion"))))
    yield kubelets(oldest, len(nodes))
    yield _feature(ENV_FILES, "env-files", oldest, "envFiles: always is safe", "env-* needs a command in the pod")
    yield _feature(
        RESTART_ALL, "restart-all-containers", oldest, "restartAllContainers: true is safe", "use on-change: restart"
    )


def _feature(feature: Feature, check: str, oldest: Version, with_it: str, without_it: str) -> Finding:
    """Report a feature that is optional: *with_it* and *without_it* say what follows."""
    if feature.is_in(oldest):
        return ok(check, f"all kubelets are new enough for {feature.name}: {with_it}")
    return ok(check, f"not all kubelets are new enough for {feature.name}: {without_it}")


def _rights(api: Api, namespace: str) -> Finding:
    missing = [name for group, name in _NAMESPACED if not api.may("create", group, name, namespace)]
    missing += [name for group, name in _CLUSTER_WIDE if not api.may("create", group, name)]
    if missing:
        return failed(
            "install-rights",
            f"you may not create {', '.join(missing)}",
            "install as a user with these rights, such as one with the ClusterRole cluster-admin",
        )
    return ok("install-rights", f"you may create every object of the chart in namespace {namespace}")


def _other_webhooks(api: Api) -> Iterator[Finding]:
    """Name the webhooks that change pods: meshes, and other injectors. The agent must come before or after the proxy of a mesh."""
    call = client.AdmissionregistrationV1Api(api.connection).list_mutating_webhook_configuration
    try:
        names = sorted(str(item["metadata"]["name"]) for item in api.items("webhooks", call) if changes_pods(item))
    except ForbiddenError:
        yield warning("other-webhooks", "you may not list webhook configurations, so other injectors are unknown")
        return
    meshes = sorted({mesh for word, mesh in _MESHES.items() if any(word in name for name in names)})
    if meshes:
        yield warning(
            "other-webhooks",
            f"{' and '.join(meshes)} changes pods too ({', '.join(names)}); API servers call webhooks in the order of their names",
            "read how the agent is placed beside the proxy",
            "meshes.md",
        )
    else:
        yield ok("other-webhooks", f"webhooks that change pods: {', '.join(names) or 'none'}; no service mesh")


def changes_pods(configuration: Json) -> bool:
    """Return whether a webhook of *configuration* is called when pods are created."""
    rules = [rule for hook in as_objects(configuration.get("webhooks")) for rule in as_objects(hook.get("rules"))]
    return any({"pods", "*", "*/*", "pods/*"} & set(rule.get("resources") or ()) for rule in rules)


def _pod_security(api: Api) -> Finding:
    try:
        spaces = list(api.items("namespaces", api.core().list_namespace))
    except ForbiddenError:
        return warning("pod-security", "you may not list namespaces, so their Pod Security levels are unknown")
    levels = [str(as_object(item["metadata"].get("labels")).get(_LEVEL, _PRIVILEGED)) for item in spaces]
    counts = ", ".join(f"{levels.count(level)} {level}" for level in sorted(set(levels)))
    return ok("pod-security", f"namespaces by Pod Security level: {counts}; the agent's containers meet restricted")
