"""The linters: two are built from Go modules, promtool comes from Debian's package. All are kept outside the repository."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from cluster.errors import ClusterError, run
from cluster.places import cache
from cluster.programs import Say, complete_or_not_at_all, digest

HERE = Path(__file__).parent
DEBIAN = "prometheus"
"""The Debian package with promtool. Built from its Go module, it would take four minutes; the package takes two seconds."""


def from_go(say: Say) -> Path:
    """Return the folder with kubeconform and kube-score; build them if this has not been done yet."""
    folder = kept() / digest(HERE / "go.mod", HERE / "go.sum")
    if not folder.exists():
        go = shutil.which("go")
        if go is None:
            raise ClusterError(
                "go: not found on PATH; kubeconform and kube-score need Go 1.26 or newer, https://go.dev/dl"
            )
        say("building kubeconform and kube-score (once; about one minute)")
        with complete_or_not_at_all(folder) as made:
            environment = {**os.environ, "CGO_ENABLED": "0"}
            run(go, "-C", HERE, "build", "-trimpath", "-o", f"{made}/", "tool", environment=environment)
    return folder


def promtool(say: Say) -> Path:
    """Return promtool: from PATH, or out of Debian's package, which is downloaded and not installed."""
    found = shutil.which("promtool")
    if found:
        return Path(found)
    folder = kept() / "promtool"
    if not folder.exists():
        if shutil.which("apt-get") is None:
            raise ClusterError("promtool: not found on PATH; install Prometheus")
        say("downloading promtool (once)")
        with complete_or_not_at_all(folder) as made, tempfile.TemporaryDirectory() as unpacked:
            _download(Path(unpacked))
            [package] = Path(unpacked).glob("*.deb")
            run("dpkg-deb", "--extract", package, f"{unpacked}/root")
            shutil.move(f"{unpacked}/root/usr/bin/promtool", made)
    return folder / "promtool"


def _download(folder: Path) -> None:
    """Download the package. An image of Debian may have no package lists yet, and root may fetch them."""
    done = _apt(folder)
    if done.returncode and os.geteuid() == 0:
        run("apt-get", "update", "--quiet")
        done = _apt(folder)
    if done.returncode:
        raise ClusterError(f"apt-get download {DEBIAN}: {done.stderr.strip()}; run apt-get update, or install promtool")


def _apt(folder: Path) -> subprocess.CompletedProcess[str]:
    command = ["apt-get", "download", "--quiet", DEBIAN]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def module(path: str, version: str, expected: str) -> Path:
    """Return the folder of a Go module with all its files. Raises ClusterError if its hash is not the *expected* one."""
    go = shutil.which("go")
    if go is None:
        raise ClusterError("go: not found on PATH; it downloads the schemas, https://go.dev/dl")
    with tempfile.TemporaryDirectory() as outside:
        found = json.loads(run(go, "-C", outside, "mod", "download", "-json", f"{path}@{version}"))
    if found["Sum"] != expected:
        raise ClusterError(f"{path}@{version}: has the hash {found['Sum']}, not {expected}")
    return Path(found["Dir"])


def kept() -> Path:
    """Return the folder for programs and schemas that are kept between runs."""
    return cache().with_name("linters")
