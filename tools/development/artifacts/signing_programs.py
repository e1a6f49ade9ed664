"""cosign, which signs images in a registry, and a registry for its test: built from Go modules and kept outside the repository."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from artifacts.commits import run
from artifacts.errors import ArtifactError
from cluster.places import cache
from cluster.programs import complete_or_not_at_all, digest

MODULE = Path(__file__).parent / "signing"


def kept() -> Path:
    """Return the folder of the programs, whether or not they have been built."""
    return cache().with_name("signing") / digest(MODULE / "go.mod", MODULE / "go.sum")


def build(say: Callable[[str], None]) -> Path:
    """Return the folder with cosign and registry; build them if this has not been done yet. Raises ArtifactError without Go."""
    if not kept().exists():
        go = shutil.which("go")
        if go is None:
            raise ArtifactError("go: not found on PATH; cosign needs Go 1.26 or newer, https://go.dev/dl")
        say("building cosign (once; four minutes)")
        environment = {**os.environ, "CGO_ENABLED": "0"}
        with complete_or_not_at_all(kept()) as made:
            run(go, "-C", str(MODULE), "build", "-trimpath", "-o", f"{made}/", "tool", env=environment)
    return kept()
