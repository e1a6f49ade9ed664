"""Names, addresses and folders of a cluster; all folders are outside the repository."""

from __future__ import annotations

import os
import re
from pathlib import Path

import attrs

from cluster.errors import ClusterError

DEFAULT = "keeper-injector"
SLOTS = range(10)
"""The number of clusters that can run at the same time; each has its own network."""

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
_HIDDEN = ("/run", "/var/lib", "/var/log")
"""Folders that the node replaces by its own, so it does not see the host's files in them."""


def cache() -> Path:
    """Return the folder for files that are kept between runs; XDG_CACHE_HOME changes it."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home, "keeper-injector/cluster").absolute()


@attrs.frozen
class Place:
    """Names, addresses and folders of one cluster. The names are those that kind uses."""

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
        """The host's end of the veth pair."""
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
        """The folder that is removed with the cluster."""
        return states() / self.name

    @property
    def pki(self) -> Path:
        """Keys, certificates and kubeconfigs."""
        return self.state / "pki"

    @property
    def log(self) -> Path:
        """One log per program, and the logs of pods in subfolders."""
        return self.state / "log"

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig of the administrator."""
        return self.pki / "admin.conf"


def states() -> Path:
    """Return the folder with a subfolder for each cluster. They contain container layers, so it must not be a memory file system."""
    return cache() / "state"


def names() -> list[str]:
    """Return the clusters that have state, whether or not they still run."""
    return sorted(path.parent.name for path in states().glob("*/slot"))


def existing(name: str) -> Place | None:
    """Return the place of the cluster with this name, or None."""
    try:
        return Place(name, int((states() / name / "slot").read_text()))
    except FileNotFoundError:
        return None


def checked(name: str) -> str:
    """Return *name* if it can be part of a node's name."""
    if not _NAME.fullmatch(name):
        raise ClusterError(
            f"{name!r}: not a name for a cluster; write at most 40 lower-case letters, digits and inner dashes"
        )
    return name


def problems_of(path: Path) -> list[str]:
    """Return the reasons why a node could not find its state at *path*."""
    hidden = [folder for folder in _HIDDEN if path.resolve().is_relative_to(folder)]
    return [f"{path}: the node replaces {folder}; set XDG_CACHE_HOME to another folder" for folder in hidden]
