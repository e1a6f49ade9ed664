"""Builds wheels, sdists, the chart's package and the images of a commit."""

from __future__ import annotations

import gzip
import os
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from artifacts.commits import Commit, run
from artifacts.errors import ArtifactError

EXEC = Path("packages/keeper-injector-agent/src/keeper_injector_agent/exec")
CHART = Path("charts/keeper-injector")


def build_distributions(commit: Commit, output: Path) -> None:
    """Build the wheel and the sdist of each package. Without a C compiler, the agent's wheel lacks keeper-exec."""
    environment = _environment(commit)
    if shutil.which("musl-gcc") or shutil.which("cc"):
        run("sh", str(commit.folder / EXEC / "build.sh"), env=environment)
    else:
        print(
            "artifacts: no C compiler; the agent's wheel has no keeper-exec and cannot deliver variables",
            file=sys.stderr,
        )
    for project in sorted(commit.folder.glob("packages/*/pyproject.toml")):
        command = (
            sys.executable,
            "-m",
            "hatchling",
            "build",
            "--target",
            "sdist",
            "--target",
            "wheel",
            "-d",
            str(output),
        )
        run(*command, cwd=project.parent, env=environment)


def package_chart(commit: Commit, output: Path, helm: Path) -> None:
    """Package the chart as ``helm package`` does, with fixed order, owner, mode and time."""
    with tempfile.TemporaryDirectory() as folder:
        run(str(helm), "package", str(commit.folder / CHART), "--destination", folder)
        [made] = Path(folder).glob("*.tgz")
        (output / made.name).write_bytes(_normalized(made, commit.epoch))


def _normalized(package: Path, epoch: int) -> bytes:
    """Return the files of a .tgz in an archive whose bytes depend on their names and contents alone."""
    buffer = BytesIO()
    with tarfile.open(package) as given, tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        # Helm expects Chart.yaml first when it reads a package as a stream.
        for entry in sorted(given.getmembers(), key=lambda entry: (not entry.name.endswith("/Chart.yaml"), entry.name)):
            plain = tarfile.TarInfo(entry.name)
            plain.size, plain.mtime, plain.mode = entry.size, epoch, 0o644
            archive.addfile(plain, given.extractfile(entry))
    return gzip.compress(buffer.getvalue(), mtime=epoch)


def check_base(base: str) -> None:
    """Raise ArtifactError for a base image without a digest: a build of the same commit would get another one tomorrow."""
    if base and base != "debian" and "@sha256:" not in base and not base.startswith("localhost/"):
        raise ArtifactError(
            f"base image {base}: has no digest; write --base NAME@sha256:…, --base debian or --images none"
        )


def build_images(commit: Commit, output: Path, names: Sequence[str], base: str) -> None:
    """Build the images *names* (empty: all) on *base* as OCI archives, by the program of the commit itself."""
    tools = [str(commit.folder / "tools"), str(commit.folder / "tools/development")]
    options = ("--oci", str(output), "--revision", commit.revision, "--epoch", str(commit.epoch), "--base", base)
    environment = _environment(commit) | {"PYTHONPATH": os.pathsep.join(tools)}
    run(sys.executable, "-m", "images", *names, *options, cwd=commit.folder, env=environment)


def _environment(commit: Commit) -> dict[str, str]:
    return {**os.environ, "SOURCE_DATE_EPOCH": str(commit.epoch), "LC_ALL": "C", "TZ": "UTC"}
