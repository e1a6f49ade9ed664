"""The versions of Kubernetes that a node can be built from: one Go module for each, in ``node/``."""

from __future__ import annotations

import os
import re
from pathlib import Path

import attrs

from cluster.errors import ClusterError

NODE = Path(__file__).parent / "node"
OLD_PROGRAM = NODE / "before-1.34"
"""The program for versions whose kubelet command takes no context; otherwise it is the same."""
CONTEXT_SINCE = (1, 34)
CHOICE = "CLUSTER_KUBERNETES"
"""Environment variable: the version of every node that is started without a choice, also by ``kind``."""


@attrs.frozen
class Version:
    """A minor version of Kubernetes, and what its node is built from."""

    modules: Path
    """A go.mod; its checksums are beside it."""
    name: str
    """The patch version in *modules*: ``v1.33.13``."""

    @property
    def number(self) -> tuple[int, int]:
        """Major and minor version: ``(1, 33)``."""
        major, minor, _ = self.name.removeprefix("v").split(".", 2)
        return int(major), int(minor)

    @property
    def minor(self) -> str:
        """The version as people choose it: ``1.33``."""
        return "{}.{}".format(*self.number)

    @property
    def program(self) -> Path:
        """The folder with main.go."""
        return NODE if self.number >= CONTEXT_SINCE else OLD_PROGRAM


def every() -> list[Version]:
    """Return all versions, oldest first."""
    found = [_read(path) for path in (*NODE.glob("kubernetes-*.mod"), NODE / "go.mod")]
    return sorted(found, key=lambda version: version.number)


def newest() -> Version:
    """Return the version that is used unless another one is chosen."""
    return _read(NODE / "go.mod")


def chosen(minor: str | None = None) -> Version:
    """Return the version that was chosen by an option, *minor*, or by the environment; otherwise the newest."""
    choice = minor if minor is not None else os.environ.get(CHOICE)
    return newest() if choice is None else find(choice)


def find(minor: str) -> Version:
    """Return the version that a person has chosen: ``1.33``. Raises :class:`ClusterError` if there is no such node."""
    known = {version.minor: version for version in every()}
    if minor not in known:
        raise ClusterError(f"Kubernetes {minor}: cannot be built; choose one of {', '.join(known)}")
    return known[minor]


def _read(modules: Path) -> Version:
    (name,) = re.findall(r"^\s*k8s\.io/kubernetes (v\S+)$", modules.read_text(encoding="utf-8"), re.MULTILINE)
    return Version(modules, name)
