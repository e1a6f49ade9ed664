"""The names of what an injection adds to a pod: containers, volumes and a port. They are declared here and nowhere else.

The paths at which the agent's containers mount the volumes are in :mod:`keeper_injector_common.plan.paths`, because the agent needs
them too.
"""

from __future__ import annotations

INIT_CONTAINER = "keeper-injector-init"
SIDECAR = "keeper-injector-sidecar"
AGENT_CONTAINERS = frozenset({INIT_CONTAINER, SIDECAR})

AGENT_PROGRAM = "keeper-injector-agent"
"""The first word of the command of the agent's containers."""

SECRETS_VOLUME_PREFIX = "keeper-secrets-"
"""Memory volumes with files for the pod's containers; a number follows."""
VARIABLES_VOLUME_PREFIX = "keeper-env-"
"""Memory volumes with environment variables; a number follows."""

PLAN_VOLUME = "keeper-plan"
STATE_VOLUME = "keeper-state"
CREDENTIALS_VOLUME = "keeper-credentials"
CA_VOLUME = "keeper-ca"
PROXY_VOLUME = "keeper-proxy"
API_VOLUME = "keeper-api"
RESTART_VOLUME = "keeper-restart"
"""The memory volume that the liveness probes of containers with ``on-change: restart`` read."""

METRICS_PORT = "keeper-metrics"
"""The name of the sidecar's container port for Prometheus."""

_PREFIXES = (SECRETS_VOLUME_PREFIX, VARIABLES_VOLUME_PREFIX)
_VOLUMES = frozenset(
    {PLAN_VOLUME, STATE_VOLUME, CREDENTIALS_VOLUME, CA_VOLUME, PROXY_VOLUME, API_VOLUME, RESTART_VOLUME}
)


def is_reserved_volume(name: str) -> bool:
    """Return whether an injection may add a volume called *name*, so that the pod itself cannot have one."""
    return name.startswith("keeper-") and (name in _VOLUMES or name.startswith(_PREFIXES))


MIRROR = "kubernetes.io/config.mirror"
"""The annotation of mirror pods: a kubelet creates them so that API servers show its static pods."""
FOREIGN_ANNOTATIONS = frozenset(
    {
        MIRROR,
        "traffic.sidecar.istio.io/excludeOutboundPorts",
        "config.linkerd.io/skip-outbound-ports",
        "consul.hashicorp.com/transparent-proxy-exclude-outbound-ports",
        "traffic.kuma.io/exclude-outbound-ports",
    }
)
"""The annotations of other programs that decisions read; a :class:`~.pod.Pod` has no others."""
