"""Paths and file names in the agent's containers, which the webhook mounts and the agent reads or writes.

The startup probe imports this module, and the start of a pod waits for it, so the module imports nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

PLAN_PATH = "/keeper/plan/plan.json"
CREDENTIALS_PATH = "/keeper/credentials/config"
"""The KSM configuration."""
CA_PATH = "/keeper/ca/ca.crt"
"""The additional CA certificate."""
PROXY_PATH = "/keeper/proxy/url"
"""The URL of the proxy, if it is in a Secret."""
STATE_PATH = "/keeper/state"
"""Directory of the agent's state."""
VOLUMES_PATH = "/keeper/volumes"
"""Directory with a memory volume for each directory and each set of environment variables of the application."""
EXEC_NAME = "keeper-exec"
"""Program in a volume of environment variables, which starts the application with them."""
VARIABLES_NAME = "variables"
"""File in a volume of environment variables, which holds them."""
ACCOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
"""Directory of the service account token, where Kubernetes' own libraries expect it.

If the agent writes a Kubernetes Secret, the webhook mounts there ``token``, ``ca.crt``, ``namespace``, ``pod-name`` and ``pod-uid``.
"""

STATE_NAME = "state.json"
"""File in the state directory: what a refresh needs to know about earlier ones."""
METRICS_NAME = "metrics.prom"
"""File in the state directory: the metrics that the last worker wrote and that the supervisor serves."""
REFRESHED_NAME = "refreshed"
"""Empty file in the state directory; its modification time is that of the last success."""
READY_NAME = "ready"
"""Empty file in the state directory, created when the supervisor is running; for the probe."""
RESTART_NAME = "restart"
"""File in the state directory: when all containers of the pod are to restart, in seconds after the start of the machine."""
RELAY_NAME = "relay"
"""File in the state directory: the relay that the last worker used, and its snapshot; for the supervisor."""


def below_root(root: Path, path: str) -> Path:
    """Return where the absolute *path* is in a file system whose root directory is *root*."""
    return root / path.lstrip("/")
