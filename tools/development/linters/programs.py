"""The linters: three are built from Go modules, checkov comes from PyPI, Prometheus from Debian's package. All are kept outside the repository."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from cluster.errors import ClusterError, run
from cluster.places import cache
from cluster.programs import Say, complete_or_not_at_all, digest, unpack_wheels

HERE = Path(__file__).parent
CHECKOV = HERE / "checkov.txt"
"""checkov and its dependencies with their hashes; ``./tools/run lock`` writes it from checkov.in."""
DEBIAN = "prometheus"
"""The Debian package with Prometheus and promtool. Its Go module takes four minutes to build; the package takes two seconds."""
PROGRAMS = ("prometheus", "promtool")


def from_go(say: Say) -> Path:
    """Return the folder with kubeconform, kube-score and dashboard; build them if this has not been done yet."""
    folder = kept_from_go()
    if not folder.exists():
        go = shutil.which("go")
        if go is None:
            raise ClusterError(
                "go: not found on PATH; kubeconform, kube-score and dashboard need Go 1.26 or newer, https://go.dev/dl"
            )
        say("building kubeconform, kube-score and dashboard (once; about one minute)")
        with complete_or_not_at_all(folder) as made:
            environment = {**os.environ, "CGO_ENABLED": "0"}
            run(go, "-C", HERE, "build", "-trimpath", "-o", f"{made}/", "tool", environment=environment)
    return folder


def kept_from_go() -> Path:
    """Return the folder of the programs that are built from Go modules, whether or not they have been built."""
    return kept() / digest(HERE / "go.mod", HERE / "go.sum", HERE / "dashboard/main.go")


def checkov(say: Say) -> Path:
    """Return the folder with checkov and its dependencies: they are as many as ours, and pinned in other versions."""
    folder = kept_checkov()
    if not folder.exists():
        say("installing checkov (once; about 20 s)")
        with complete_or_not_at_all(folder) as made:
            unpack_wheels(CHECKOV, made, "--compile-bytecode")
    return folder


def kept_checkov() -> Path:
    """Return the folder of checkov for this Python, whether or not it is installed."""
    return kept() / f"checkov-{digest(CHECKOV)[:16]}-python-{sys.version_info.major}.{sys.version_info.minor}"


def prometheus(say: Say) -> Path:
    """Return the folder with prometheus and promtool: on PATH, or out of Debian's package, which is not installed."""
    found = kept_prometheus()
    if found:
        return found
    if shutil.which("apt-get") is None:
        raise ClusterError("prometheus and promtool: not found on PATH; install Prometheus")
    say("downloading Prometheus (once)")
    folder = kept() / DEBIAN
    with complete_or_not_at_all(folder) as made, tempfile.TemporaryDirectory() as unpacked:
        _download(Path(unpacked))
        [package] = Path(unpacked).glob("*.deb")
        run("dpkg-deb", "--extract", package, f"{unpacked}/root")
        for name in PROGRAMS:
            shutil.move(f"{unpacked}/root/usr/bin/{name}", made)
    return folder


def kept_prometheus() -> Path | None:
    """Return the folder with prometheus and promtool if they are on PATH or were downloaded before; otherwise None."""
    found = {Path(path).parent for name in PROGRAMS if (path := shutil.which(name)) is not None}
    if len(found) == 1 and all((folder / name).exists() for folder in found for name in PROGRAMS):
        return found.pop()
    folder = kept() / DEBIAN
    return folder if folder.exists() else None


def _download(folder: Path) -> None:
    """Download the package. An image of Debian may have no package lists yet, and root may fetch them."""
    done = _apt(folder)
    if done.returncode and os.geteuid() == 0:
        run("apt-get", "update", "--quiet")
        done = _apt(folder)
    if done.returncode:
        raise ClusterError(
            f"apt-get download {DEBIAN}: {done.stderr.strip()}; run apt-get update, or install Prometheus"
        )


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
