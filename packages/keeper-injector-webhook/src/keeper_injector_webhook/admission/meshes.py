"""The service meshes whose containers the webhook recognizes by name: what each container does, and how a pod bypasses the proxy.

A mesh redirects the pod's network to its proxy. The agent needs a network that works, and the containers of a mesh need no secrets.
:mod:`.placement` and :mod:`.receivers` draw the consequences.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from keeper_injector_webhook.admission.pod import Container, Pod


@attrs.frozen
class Mesh:
    """One service mesh."""

    title: str
    proxy: str
    """Name of the container with the proxy: a native sidecar, or a classic one among the ordinary containers."""
    redirects: str
    """Name of the init container that redirects the pod's network to the proxy."""
    validates: str
    """Name of the init container that replaces the former if a CNI plugin redirects the network; may be empty."""
    exclusion: str
    """Annotation with the outbound ports that bypass the proxy, separated by commas."""
    native: str
    """What turns on native sidecars."""
    multiple: bool = False
    """Whether there may be several of each container, with a suffix after ``-``."""

    def is_proxy(self, name: str) -> bool:
        """Return whether *name* is that of the proxy."""
        return self._is(name, self.proxy)

    def is_redirecting(self, name: str) -> bool:
        """Return whether *name* is that of the container after which the network needs the proxy."""
        return self._is(name, self.redirects)

    def _is(self, name: str, own: str) -> bool:
        return name == own or (self.multiple and name.startswith(f"{own}-"))


_MESHES = (
    Mesh(
        "Istio",
        "istio-proxy",
        "istio-init",
        "istio-validation",
        "traffic.sidecar.istio.io/excludeOutboundPorts",
        'annotation sidecar.istio.io/nativeSidecar: "true"',
    ),
    Mesh(
        "Linkerd",
        "linkerd-proxy",
        "linkerd-init",
        "linkerd-network-validator",
        "config.linkerd.io/skip-outbound-ports",
        'annotation config.linkerd.io/proxy-enable-native-sidecar: "true"',
    ),
    Mesh(
        "Consul",
        "consul-dataplane",
        "consul-connect-inject-init",
        "",
        "consul.hashicorp.com/transparent-proxy-exclude-outbound-ports",
        "",
        multiple=True,
    ),
    Mesh(
        "Kuma",
        "kuma-sidecar",
        "kuma-init",
        "kuma-validation",
        "traffic.kuma.io/exclude-outbound-ports",
        "KUMA_EXPERIMENTAL_SIDECAR_CONTAINERS=true for the control plane",
    ),
)

_BY_NAME = {name: mesh for mesh in _MESHES for name in (mesh.proxy, mesh.redirects, mesh.validates) if name}
_PREFIXES = tuple(f"{name}-" for mesh in _MESHES if mesh.multiple for name in (mesh.proxy, mesh.redirects))
"""What the names of further containers of a mesh begin with."""


def mesh_of(container: Container) -> Mesh | None:
    """Return the mesh that *container* belongs to; None for a container of the pod's author."""
    name = container.name
    found = _BY_NAME.get(name)
    if found is None and name.startswith(_PREFIXES):
        return next(mesh for mesh in _MESHES if mesh.multiple and (mesh.is_proxy(name) or mesh.is_redirecting(name)))
    return found


def native_proxies(pod: Pod) -> Iterator[Container]:
    """Yield the proxies of *pod* that are native sidecars, so that the network works for every container after them."""
    for container in pod.containers():
        if is_native_sidecar(container) and (mesh := mesh_of(container)) and mesh.is_proxy(container.name):
            yield container


def is_native_sidecar(container: Container) -> bool:
    """Return whether *container* is an init container that keeps running (KEP-753)."""
    return container.kind == "initContainers" and container.raw.get("restartPolicy") == "Always"
