"""Where a cluster is: its names, addresses and folders, all outside the repository."""

from __future__ import annotations

import os
import re
from pathlib import Path

import attrs

from cluster.errors import ClusterError

DEFAULT = "keeper-injector"
SLOTS = range(10)
"""As many clusters run side by side; each has a cable and a network of its own."""

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
_HIDDEN = ("/run", "/var/lib", "/var/log")
"""What the node covers with folders of its own: nothing of the host's is seen in there."""


def cache() -> Path:
    """Return the folder for what is kept between runs; XDG_CACHE_HOME moves it."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home, "keeper-injector/cluster").absolute()


@attrs.frozen
class Place:
    """What belongs to one cluster. The names are those that kind would give."""

    name: str
    slot: int

    @property
    def context(self) -> str:
        """Name of the context, the cluster and the user in a kubeconfig."""
        return f"kind-{self.name}"

    @property
    def node(self) -> str:
        """Name of the only node."""
        return f"{self.name}-control-plane"

    @property
    def cgroup(self) -> str:
        """Control group of the pods, in each hierarchy."""
        return f"kind-{self.name}"

    @property
    def link(self) -> str:
        """The host's end of the cable to the node."""
        return f"kind{self.slot}"

    @property
    def gateway(self) -> str:
        """Address of the host, as seen from the node and its pods."""
        return f"10.89.{self.slot}.1"

    @property
    def address(self) -> str:
        """Address of the node."""
        return f"10.89.{self.slot}.2"

    @property
    def state(self) -> Path:
        """The folder that goes when the cluster goes."""
        return states() / self.name

    @property
    def pki(self) -> Path:
        """Keys, certificates and kubeconfigs."""
        return self.state / "pki"

    @property
    def log(self) -> Path:
        """One log per program, and the pods' below."""
        return self.state / "log"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.pki / "admin.conf"


def states() -> Path:
    """Return the folder with one folder for each cluster; they hold container layers, so a memory file system is none."""
    return cache() / "state"


def names() -> list[str]:
    """Return the clusters that have state, whether or not they still run."""
    return sorted(path.parent.name for path in states().glob("*/slot"))


def existing(name: str) -> Place | None:
    """Find a cluster by its name."""
    try:
        return Place(name, int((states() / name / "slot").read_text()))
    except FileNotFoundError:
        return None


def checked(name: str) -> str:
    """Return *name* if it can be part of a node's name."""
    if not _NAME.fullmatch(name):
        raise ClusterError(f"{name!r}: no name for a cluster; at most 40 small letters, digits and inner dashes")
    return name


def problems_of(path: Path) -> list[str]:
    """Say why a node could not find its state at *path*."""
    hidden = [folder for folder in _HIDDEN if path.resolve().is_relative_to(folder)]
    return [f"{path}: the node has a {folder} of its own; let XDG_CACHE_HOME point elsewhere" for folder in hidden]
