"""Meshes: their containers are recognized by name, and by nothing else."""

from __future__ import annotations

import pytest
from admission_reviews import pod

from keeper_injector_webhook.admission.meshes import mesh_of, native_proxies
from keeper_injector_webhook.admission.pod import Pod


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("istio-init", "Istio"),
        ("istio-validation", "Istio"),
        ("istio-proxy", "Istio"),
        ("linkerd-init", "Linkerd"),
        ("linkerd-network-validator", "Linkerd"),
        ("linkerd-proxy", "Linkerd"),
        ("consul-connect-inject-init", "Consul"),
        ("consul-dataplane", "Consul"),
        ("consul-dataplane-api", "Consul"),
        ("kuma-init", "Kuma"),
        ("kuma-validation", "Kuma"),
        ("kuma-sidecar", "Kuma"),
        ("istio-proxy-2", None),
        ("proxy", None),
        ("", None),
    ],
)
def test_containers_of_meshes_are_recognized(name: str, title: str | None) -> None:
    """Each container that a mesh adds belongs to it; Consul adds several with a suffix to pods of several services."""
    (container,) = Pod(pod(containers=[{"name": name}])).containers()
    mesh = mesh_of(container)
    assert (mesh and mesh.title) == title


def test_a_native_proxy_is_an_init_container_that_stays() -> None:
    """A proxy is native if it is an init container with `restartPolicy: Always`."""
    inits = [{"name": "istio-proxy", "restartPolicy": "Always"}, {"name": "linkerd-proxy"}, {"name": "linkerd-init"}]
    found = native_proxies(Pod(pod(initContainers=inits, containers=[{"name": "kuma-sidecar"}])))
    assert [container.name for container in found] == ["istio-proxy"]
