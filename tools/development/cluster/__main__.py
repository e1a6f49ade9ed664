"""``python -m cluster``: start, use and stop a Kubernetes node that needs no Docker."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cluster import node, programs, versions
from cluster.errors import ClusterError
from cluster.places import DEFAULT
from images.catalogue import PREFIX, VERSION

HERE = Path(__file__).parent
EXAMPLES = """\
examples:
  ./tools/run cluster up                          about 10 s; the first time, the program is built
  ./tools/run cluster images                      build our images and load them
  ./tools/run cluster load image.tar              written by docker save or buildah push
  ./tools/run cluster kubectl get pods --all-namespaces
  ./tools/run cluster helm list --all-namespaces
  ./tools/run cluster down
"""
HELM_VALUES = " ".join(
    f"--set {prefix}image.repository={PREFIX}{name},{prefix}image.tag={VERSION},{prefix}image.pullPolicy=Never"
    for prefix, name in (("", "webhook"), ("agent.", "agent"))
)
"""The options of helm for a cluster whose node has our images."""


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    if arguments[:1] == ["kubectl"]:
        return _fail_politely(lambda: _run_on(programs.kubectl, "--context", arguments[1:]))
    if arguments[:1] == ["helm"]:
        return _fail_politely(lambda: _run_on(programs.helm, "--kube-context", arguments[1:]))
    options = _parser().parse_args(arguments)
    return _fail_politely(lambda: int(options.call(options) or 0))


def _fail_politely(call: Callable[[], int]) -> int:
    try:
        return call()
    except ClusterError as error:
        print(f"cluster: {error}", file=sys.stderr)
        return os.EX_UNAVAILABLE
    except KeyboardInterrupt:
        print("cluster: interrupted; everything was removed", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./tools/run cluster",
        description="Manage a Kubernetes node. It needs Linux and root, but no Docker.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    up = commands.add_parser("up", help="start a cluster")
    up.set_defaults(call=_up)
    up.add_argument("name", nargs="?", default=DEFAULT, help="(%(default)s)")
    up.add_argument(
        "--kubernetes", metavar="VERSION", help=f"{_choices()} (default: ${versions.CHOICE}, or the newest)"
    )
    up.add_argument("--while", dest="owner", type=int, metavar="PID", help="stop it when that process ends")

    down = commands.add_parser("down", help="stop a cluster and remove all its files")
    down.set_defaults(call=_down)
    down.add_argument("name", nargs="?", default=DEFAULT, help="(%(default)s)")

    load = commands.add_parser("load", help="import images into a node")
    load.set_defaults(call=_load)
    load.add_argument("arguments", nargs="+", metavar="[NAME] ARCHIVE.tar", help=f"(NAME: {DEFAULT})")

    images = commands.add_parser("images", help="build the images and load them; prints Helm's options for them")
    images.set_defaults(call=_images)
    images.add_argument("--name", default=DEFAULT, help="cluster (%(default)s)")
    images.add_argument("--base", default="debian", help="base image (%(default)s: built without a registry)")
    images.add_argument("image", nargs="*", default=["agent", "webhook", "local-keeper"], help="(%(default)s)")

    commands.add_parser("kubectl", help="run kubectl; with several clusters, --context kind-NAME selects one")
    commands.add_parser("helm", help="run helm; with several clusters, --kube-context kind-NAME selects one")
    commands.add_parser("list", help="list the running clusters").set_defaults(call=_list)
    build = commands.add_parser("build", help="build the node's program")
    build.set_defaults(call=_build)
    build.add_argument(
        "--kubernetes", metavar="VERSION", help=f"{_choices()} (default: ${versions.CHOICE}, or the newest)"
    )
    commands.add_parser("install", help="install what a node needs (Debian, Ubuntu)").set_defaults(call=_install)
    return parser


def _choices() -> str:
    return ", ".join(version.minor for version in versions.every())


def _up(options: argparse.Namespace) -> None:
    say = _Clock()
    place = node.up(options.name, say, owner=options.owner, version=versions.chosen(options.kubernetes))
    say(f"ready; the node and its pods reach the host at {place.gateway}")
    print(f"export KUBECONFIG={place.kubeconfig}")


def _down(options: argparse.Namespace) -> None:
    gone = node.down(options.name)
    print(f"{options.name}: {'stopped' if gone else 'was not running'}", file=sys.stderr)


def _load(options: argparse.Namespace) -> None:
    names = [argument for argument in options.arguments[:1] if not argument.endswith(".tar")]
    place = node.running(*names or [DEFAULT])
    for archive in options.arguments[len(names) :]:
        node.load(place, Path(archive))
        print(f"{place.name}: {archive} loaded", file=sys.stderr)


def _list(options: argparse.Namespace) -> None:
    for name in node.clusters():
        print(name)


def _build(options: argparse.Namespace) -> None:
    print(programs.node(_Clock(), versions.chosen(options.kubernetes)))


def _install(options: argparse.Namespace) -> int:
    return subprocess.run([HERE / "install.sh"], check=False).returncode


def _run_on(program: Callable[[programs.Say], Path], option: str, arguments: Sequence[str]) -> int:
    """Run kubectl or helm with the running clusters; *option* is the one that selects a context.

    With several clusters and no context, the command is refused: it would silently use one of them.
    """
    names = node.clusters()
    if not names:
        raise ClusterError("no cluster is running; start one: ./tools/run cluster up")
    require_context(names, option, arguments)
    files = os.pathsep.join(str(node.running(name).kubeconfig) for name in names)
    environment = {**os.environ, "KUBECONFIG": files}
    return subprocess.run([program(_Clock()), *arguments], check=False, env=environment).returncode


def require_context(names: Sequence[str], option: str, arguments: Sequence[str]) -> None:
    """Raise ClusterError if there are several clusters and *arguments* (before ``--``) do not select one by *option*."""
    ours = list(arguments[: arguments.index("--")] if "--" in arguments else arguments)
    if len(names) > 1 and not any(word == option or word.startswith(f"{option}=") for word in ours):
        contexts = " or ".join(f"{option} kind-{name}" for name in sorted(names))
        raise ClusterError(f"{len(names)} clusters are running; choose one: {contexts}")


def _images(options: argparse.Namespace) -> None:
    place = node.running(options.name)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "images", *options.image, "--archive", folder, "--base", options.base]
        if subprocess.run(command, check=False).returncode:
            raise ClusterError("the images were not built, see above")
        for archive in sorted(Path(folder).glob("*.tar")):
            node.load(place, archive)
            print(f"{place.name}: {archive.stem} loaded", file=sys.stderr)
    print(HELM_VALUES)


class _Clock:
    """Prints messages with the seconds since the start."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def __call__(self, text: str) -> None:
        print(f"[{time.monotonic() - self._started:5.1f} s] {text}", file=sys.stderr)


if __name__ == "__main__":
    # SIGTERM is handled like an interrupt, so that a partial start is undone.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main(sys.argv[1:]))
