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


def below_root(root: Path, path: str) -> Path:
    """Return where the absolute *path* is in a file system whose root directory is *root*."""
    return root / path.lstrip("/")
