"""Where things lie in the agent's containers.

The webhook mounts them there; the plan names them all the same, so that an agent outside of Kubernetes can have them
elsewhere. Apart from the plan, because the probe needs nothing else and runs every second.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

PLAN_PATH = "/keeper/plan/plan.json"
CREDENTIALS_PATH = "/keeper/credentials/config"
CA_PATH = "/keeper/ca/ca.crt"
STATE_PATH = "/keeper/state"
VOLUMES_PATH = "/keeper/volumes"
EXEC_NAME = "keeper-exec"
VARIABLES_NAME = "variables"

STATE_NAME = "state.json"
"""File in the state directory: what a refresh needs to know of the ones before."""
METRICS_NAME = "metrics.prom"
"""File in the state directory: the metrics that the last worker wrote and that the supervisor serves."""
REFRESHED_NAME = "refreshed"
"""Empty file in the state directory; its modification time is that of the last success."""
READY_NAME = "ready"
"""Empty file in the state directory, created when the supervisor is running; for the probe."""


def below_root(root: Path, path: str) -> Path:
    """Return where the absolute *path* is in a file system whose root directory is *root*."""
    return root / path.lstrip("/")
