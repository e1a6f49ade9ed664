"""``python -m integration``: start a cluster, load the images, run the tests, remove everything.

Usage: ``./tools/run integration [--cluster local|kind|current-context] [--kubernetes 1.33] [PYTEST ARGUMENTS…]``

``--kubernetes`` chooses the version of a local node. Tests of features that this version does not have are skipped, with the reason.

Tests on a cluster mostly wait, so several run at the same time, each process with its own local Keeper. Tests that use the whole machine
run afterwards, one by one.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from cluster import archive, node, programs, versions
from cluster.errors import ClusterError
from images import builders
from images.catalogue import PREFIX, VERSION

ROOT = Path(__file__).parents[2]
NEEDED = ("agent", "agent-cloud", "webhook", "local-keeper", "applications")
NAME = "keeper-injector-tests"
WORKERS = 4
PROGRAMS = ("containerd", "runc", "iptables", "conntrack", "ip", "buildah", "mmdebstrap", "musl-gcc")
"""What ``cluster/install.sh`` installs."""
INSTALL = Path(__file__).parent / "cluster/install.sh"
NOTHING_TO_RUN = 5
"""pytest's exit code when no test was chosen."""
THROWN_AWAY = {"KEEPER_INJECTOR_CLUSTER": "thrown away"}
"""For the tests: the cluster goes as a whole, nothing has to be uninstalled."""


def main(arguments: Sequence[str]) -> int:
    """Run and return pytest's exit code."""
    parser = argparse.ArgumentParser(
        prog="./tools/run integration", description="Run the integration tests on a cluster."
    )
    choices = ("local", "kind", "current-context")
    parser.add_argument(
        "--cluster", choices=choices, help="(default: kind if Docker is available, otherwise a local node)"
    )
    parser.add_argument(
        "--kubernetes",
        metavar="VERSION",
        help=f"version of the local node: {', '.join(version.minor for version in versions.every())} (default: the newest)",
    )
    options, rest = parser.parse_known_args(arguments)
    if options.kubernetes is not None and options.cluster not in (None, "local"):
        parser.error(f"--kubernetes chooses the version of a local node; remove it, or --cluster {options.cluster}")
    chosen = (
        "local"
        if options.kubernetes
        else options.cluster or ("kind" if shutil.which("kind") and builders.works("docker") else "local")
    )
    places = {"local": lambda: _local(options.kubernetes), "kind": _kind, "current-context": _current}
    started = time.monotonic()
    try:
        with places[chosen]() as environment:
            _say(started, f"testing on {chosen}")
            several = _pytest(
                environment,
                "-m",
                "not alone",
                f"--numprocesses={WORKERS}",
                "--no-loadscope-reorder",
                *rest,
            )
            alone = _pytest(environment, "-m", "alone", *rest)
            _say(started, "tested")
            return _both(several, alone)
    except ClusterError as error:
        print(f"integration: {error}", file=sys.stderr)
        return os.EX_UNAVAILABLE
    except KeyboardInterrupt:
        return 130


def _pytest(environment: Mapping[str, str], *arguments: str) -> int:
    command = [sys.executable, "-m", "pytest", "integration-tests", "--timeout=600", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def _both(*codes: int) -> int:
    """Return the exit code of several runs. "No tests collected" counts only if it is the result of all runs."""
    ran = [code for code in codes if code != NOTHING_TO_RUN]
    return next((code for code in ran if code), 0) if ran else NOTHING_TO_RUN


@contextmanager
def _local(kubernetes: str | None) -> Iterator[Mapping[str, str]]:
    """Start our own node, by default of the newest version; it is stopped when this process ends for any reason."""
    version = versions.chosen(kubernetes)
    started = time.monotonic()

    def say(text: str) -> None:
        _say(started, text)

    install_if_missing(say)
    helm, kubectl = programs.helm(say), programs.kubectl(say, version)
    with _archives(say, "--base=debian") as archives, tempfile.TemporaryDirectory() as tools:
        for program in (helm, kubectl):
            (Path(tools) / program.name).symlink_to(program)
        node.down(NAME)
        place = node.up(NAME, say, owner=os.getpid(), version=version)
        try:
            for file in archives:
                node.load(place, file)
                say(f"{file.name} loaded")
            path = f"{tools}{os.pathsep}{os.environ['PATH']}"
            yield {
                **os.environ,
                "KUBECONFIG": str(place.kubeconfig),
                "PATH": path,
                **_images(),
                **THROWN_AWAY,
                versions.CHOICE: version.minor,
            }
        finally:
            node.down(NAME)


def install_if_missing(say: programs.Say) -> None:
    """Install what a node and building images need, if this is Debian or Ubuntu and root may do it.

    Elsewhere nothing is installed, and what is missing is named by what needs it.
    """
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        say(f"installing {', '.join(missing)} (./tools/run cluster install)")
        _run(str(INSTALL))


@contextmanager
def _kind() -> Iterator[Mapping[str, str]]:
    """Start a kind cluster and stop it."""
    started = time.monotonic()
    # A kind without Docker, as in tools/development/cluster/bin, is for machines that may have no registry either.
    base = () if builders.works("docker") else ("--base=debian",)
    with _archives(lambda text: _say(started, text), *base) as archives, tempfile.TemporaryDirectory() as folder:
        config = f"{folder}/kubeconfig"
        try:
            _run("kind", "create", "cluster", "--name", NAME, "--kubeconfig", config, "--wait", "2m")
            for file in archives:
                _run("kind", "load", "image-archive", str(file), "--name", NAME)
            yield {**os.environ, "KUBECONFIG": config, **_images(), **THROWN_AWAY}
        finally:
            subprocess.run(["kind", "delete", "cluster", "--name", NAME], check=False)


@contextmanager
def _current() -> Iterator[Mapping[str, str]]:
    """Use the current context of kubectl; the images must be there already (KEEPER_INJECTOR_IMAGES)."""
    yield os.environ


@contextmanager
def _archives(say: programs.Say, *options: str) -> Iterator[list[Path]]:
    """Build the images and write archives of them."""
    with tempfile.TemporaryDirectory() as folder:
        say("building images")
        _run(sys.executable, "-m", "images", *NEEDED, "--archive", folder, *options)
        (Path(folder) / "distroless.tar").write_bytes(archive.image(f"{PREFIX}distroless:{VERSION}", _program(folder)))
        yield [Path(folder) / f"{name}.tar" for name in (*NEEDED, "distroless")]


def _program(folder: str) -> bytes:
    """Compile the application that is the only file in its image."""
    compiler = shutil.which("musl-gcc") or shutil.which("cc")
    if compiler is None:
        raise ClusterError("no C compiler found; install musl-tools or another cc")
    _run(compiler, "-static", "-Os", "-o", f"{folder}/program", "integration-tests/distroless.c")
    return Path(folder, "program").read_bytes()


def _images() -> dict[str, str]:
    return {"KEEPER_INJECTOR_IMAGES": f"localhost:{VERSION}"}


def _run(*command: str) -> None:
    if subprocess.run(command, cwd=ROOT, check=False).returncode:
        raise ClusterError(f"{' '.join(command[:4])} failed, see above")


def _say(started: float, text: str) -> None:
    print(f"[{time.monotonic() - started:5.1f} s] {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    # SIGTERM is handled like an interrupt, so that the cluster is stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main(sys.argv[1:]))
