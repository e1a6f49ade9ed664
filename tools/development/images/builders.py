"""One interface to docker, podman and buildah."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import attrs

from images import contents
from images.catalogue import ROOT, VERSION, Image
from images.contents import File
from images.errors import BuildError

NAMES = ("docker", "podman", "buildah")
DEBIAN = "localhost/keeper-injector-base:bookworm"
PLATFORMS = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}
"""The platforms of the images, and the machine of each as uname(1) and QEMU name it."""
PACKAGES = "python3-minimal,python3-venv,ca-certificates"
SUITE = "bookworm"
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
POLICY = Path("/etc/containers/policy.json")
EMULATORS = Path("/proc/sys/fs/binfmt_misc")
"""Where Linux lists the emulators that are registered (https://docs.kernel.org/admin-guide/binfmt-misc.html)."""
EPOCH = 1767225600
"""2026-01-01: a time that does not depend on the commit, so that the same sources give the same layers."""


@attrs.frozen
class Builder:
    """A program that builds images."""

    program: str
    revision: str = "unknown"
    """The commit that is built, for a label."""
    epoch: int = EPOCH
    """Unix time of every file that a build makes, and of the label ``created``."""
    platform: str = ""
    """Such as ``linux/arm64``; empty: that of this machine."""

    def build(self, image: Image, base: str, *, cached: bool = True) -> None:
        """Build an image on *base* (empty: what its Dockerfile says)."""
        created = datetime.fromtimestamp(self.epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        arguments = {"VERSION": VERSION, "SOURCE_DATE_EPOCH": str(self.epoch)}
        arguments |= {"REVISION": self.revision, "CREATED": created}
        arguments |= {"BASE_IMAGE": base} if base else {}
        arguments |= {"REQUIREMENTS": image.requirements} if image.requirements else {}
        given = [f"--build-arg={name}={value}" for name, value in arguments.items()]
        # The machine's CAs, for package indexes with an internal certificate. A build secret is not stored in the image.
        given += [f"--secret=id=ca,src={AUTHORITIES}"] if AUTHORITIES.exists() else []
        given += [] if cached else ["--no-cache"]
        given += self._platform()
        self._run(*self._build(), *given, "--file", image.dockerfile, "--tag", image.tag, ".")

    def debian(self, archive: Path) -> None:
        """Build the base image from the root file system in *archive*."""
        with tempfile.TemporaryDirectory() as folder:
            shutil.copyfile(archive, Path(folder) / "root.tar")
            (Path(folder) / "Dockerfile").write_text("FROM scratch\nADD root.tar /\n", encoding="utf-8")
            self._run(*self._build(), *self._platform(), "--tag", self.debian_tag, folder)

    @property
    def debian_tag(self) -> str:
        """The name of the base image that is built here."""
        return f"{DEBIAN}-{self.architecture}" if self.platform else DEBIAN

    @property
    def architecture(self) -> str:
        """The architecture of the platform, such as ``arm64``; empty: that of this machine."""
        return self.platform.partition("/")[2]

    def files(self, tag: str) -> list[File]:
        """Return the files of an image."""
        if self.program == "buildah":
            container = self._run("buildah", "from", "--pull-never", tag).strip()
            try:
                return contents.of_folder(Path(self._run("buildah", "mount", container).strip()))
            finally:
                self._run("buildah", "rm", container)
        container = self._run(self.program, "create", tag).strip()
        try:
            with tempfile.TemporaryDirectory() as folder:
                self._run(self.program, "export", f"--output={folder}/root.tar", container)
                return contents.of_tar(Path(folder, "root.tar"))
        finally:
            self._run(self.program, "rm", container)

    def digest(self, tag: str) -> str:
        """Return the digest of an image's configuration, which contains the digests of all layers."""
        if self.program == "buildah":
            return str(json.loads(self._run("buildah", "inspect", "--type=image", tag))["FromImageID"])
        return self._run(self.program, "image", "inspect", "--format={{.Id}}", tag).strip()

    def archive(self, tag: str, path: Path) -> None:
        """Write an image as ``docker save`` does."""
        path.unlink(missing_ok=True)
        if self.program == "buildah":
            self._run("buildah", "push", "--quiet", tag, f"docker-archive:{path}:{tag}")
        else:
            self._run(self.program, "save", f"--output={path}", tag)

    def oci_archive(self, tag: str, path: Path) -> None:
        """Write an image as an OCI archive, whose bytes depend on the image alone. Raises :class:`BuildError`."""
        if self.program != "buildah":
            raise BuildError(f"{self.program}: cannot write OCI archives; install buildah and set --builder buildah")
        with tempfile.TemporaryDirectory() as folder:
            self._run("buildah", "push", "--quiet", "--format=oci", tag, f"oci:{folder}/layout:{tag}")
            write_tar(Path(folder, "layout"), path, self.epoch)

    def _platform(self) -> list[str]:
        return [f"--platform={self.platform}"] if self.platform else []

    def _build(self) -> tuple[str, ...]:
        if self.program == "buildah":
            return ("buildah", "bud", "--quiet", "--isolation=chroot", "--layers", f"--timestamp={self.epoch}")
        return (self.program, "build", "--quiet")

    def _run(self, *command: str) -> str:
        environment = {**os.environ, "DOCKER_BUILDKIT": "1"}
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
        if done.returncode:
            said = "\n".join((done.stderr or done.stdout).strip().splitlines()[-15:])
            raise BuildError(f"{' '.join(command[:3])} …: exit code {done.returncode}\n{said}")
        return done.stdout


def write_tar(folder: Path, path: Path, epoch: int) -> None:
    """Write the files of *folder* to a tar archive with fixed order, owner, mode and time."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for file in sorted(file for file in folder.rglob("*") if file.is_file()):
            entry = tarfile.TarInfo(file.relative_to(folder).as_posix())
            entry.size, entry.mtime, entry.mode = file.stat().st_size, epoch, 0o644
            with file.open("rb") as content:
                archive.addfile(entry, content)


def find(name: str | None) -> Builder:
    """Return the builder *name*, or without a name the first one that works."""
    for program in [name] if name else NAMES:
        if works(program):
            _allow(program)
            return Builder(program)
    raise BuildError(
        f"no {' or '.join([name] if name else NAMES)} that works; install buildah: ./tools/run cluster install"
    )


def works(program: str) -> bool:
    """Return whether a builder is installed and, if it needs a daemon, whether that is running."""
    if shutil.which(program) is None:
        return False
    return subprocess.run([program, "info"], capture_output=True, check=False).returncode == 0


def base(builder: Builder, asked: str) -> str:
    """Return the base image: *asked*, or a Debian that is built here if *asked* is ``debian``."""
    if asked != "debian":
        return asked
    what = " ".join(filter(None, (SUITE, PACKAGES, builder.architecture)))
    archive = _cache() / f"{hashlib.sha256(what.encode()).hexdigest()[:16]}.tar"
    if not archive.exists():
        if shutil.which("mmdebstrap") is None:
            raise BuildError("mmdebstrap: not found on PATH; ./tools/run cluster install")
        archive.parent.mkdir(parents=True, exist_ok=True)
        made = archive.with_suffix(".part.tar")
        options = [f"--architectures={builder.architecture}"] if builder.architecture else []
        command = ["mmdebstrap", "--quiet", "--variant=minbase", *options, f"--include={PACKAGES}", SUITE, str(made)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BuildError(f"mmdebstrap: exit code {done.returncode}\n{done.stderr[-2000:]}")
        made.replace(archive)
    builder.debian(archive)
    return builder.debian_tag


def check_platform(platform: str, emulators: Path = EMULATORS) -> None:
    """Raise :class:`BuildError` if programs of *platform* cannot run on this machine, because a build runs some."""
    machine = PLATFORMS[platform]
    if machine != os.uname().machine and not (emulators / f"qemu-{machine}").exists():
        raise BuildError(
            f"{platform}: this machine cannot run its programs; install qemu-user-static, binfmt-support and arch-test (Debian), or build there"
        )


def _allow(program: str) -> None:
    """Buildah requires a policy for the images it may use. If the file is missing, write one that allows all images."""
    if program == "buildah" and not POLICY.exists() and os.geteuid() == 0:
        POLICY.parent.mkdir(parents=True, exist_ok=True)
        POLICY.write_text(json.dumps({"default": [{"type": "insecureAcceptAnything"}]}), encoding="utf-8")


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home, "keeper-injector/images").absolute()
