"""Chooses the position of the agent's containers among the pod's init containers, so that the agent has a network.

======================================= ======================================================================================
the pod has                             the agent starts
======================================= ======================================================================================
a native sidecar with a mesh's proxy    after it: from there on, the network works through the proxy
a classic proxy, or none                before the init container that redirects the network to a proxy that does not run yet
no mesh                                 first, or last with ``init-first: "false"``
======================================= ======================================================================================

If a CNI plugin redirects the network, it does so before any container starts. :mod:`.warnings` reports what to set then.
"""

from __future__ import annotations

from keeper_injector_common.annotations.request import InjectionRequest
from keeper_injector_webhook.admission.meshes import mesh_of, native_proxies
from keeper_injector_webhook.admission.pod import Pod


def agent_position(request: InjectionRequest, pod: Pod) -> int:
    """Return how many of the pod's own init containers start before the agent."""
    own = [container for container in pod.containers() if container.kind == "initContainers"]
    if not own:
        return 0
    wanted = 0 if request.init_first else len(own)
    after_proxy = max((container.index + 1 for container in native_proxies(pod)), default=0)
    if after_proxy:
        return max(wanted, after_proxy)
    redirecting = (
        container.index for container in own if (mesh := mesh_of(container)) and mesh.is_redirecting(container.name)
    )
    return min(wanted, min(redirecting, default=wanted))
