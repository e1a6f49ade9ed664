"""``python -m cluster``: a Kubernetes node of our own, up and down."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cluster import node, programs
from cluster.errors import ClusterError
from cluster.places import DEFAULT

HERE = Path(__file__).parent
EXAMPLES = """\
examples:
  ./tools/run cluster up                          about 10 s; the program is built once before
  ./tools/run cluster load image.tar              what docker save or buildah push wrote
  ./tools/run cluster kubectl get pods --all-namespaces
  ./tools/run cluster down
"""


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    if arguments[:1] == ["kubectl"]:
        return _fail_politely(lambda: _kubectl(arguments[1:]))
    options = _parser().parse_args(arguments)
    return _fail_politely(lambda: int(options.call(options) or 0))


def _fail_politely(call: Callable[[], int]) -> int:
    try:
        return call()
    except ClusterError as error:
        print(f"cluster: {error}", file=sys.stderr)
        return os.EX_UNAVAILABLE
    except KeyboardInterrupt:
        print("cluster: interrupted; nothing is left", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./tools/run cluster",
        description="A Kubernetes node of our own: Linux and root are all it needs, no docker.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    up = commands.add_parser("up", help="start a cluster")
    up.set_defaults(call=_up)
    up.add_argument("name", nargs="?", default=DEFAULT, help="(%(default)s)")
    up.add_argument("--while", dest="owner", type=int, metavar="PID", help="take it down when that process ends")

    down = commands.add_parser("down", help="end a cluster; nothing of it stays")
    down.set_defaults(call=_down)
    down.add_argument("name", nargs="?", default=DEFAULT, help="(%(default)s)")

    load = commands.add_parser("load", help="import images into a node")
    load.set_defaults(call=_load)
    load.add_argument("arguments", nargs="+", metavar="[NAME] ARCHIVE.tar", help=f"(NAME: {DEFAULT})")

    commands.add_parser("kubectl", help="kubectl, told of the clusters that run; --context kind-NAME chooses")
    commands.add_parser("list", help="name the clusters that run").set_defaults(call=_list)
    commands.add_parser("build", help="build the node's program").set_defaults(call=_build)
    commands.add_parser("install", help="install what a node needs (Debian, Ubuntu)").set_defaults(call=_install)
    return parser


def _up(options: argparse.Namespace) -> None:
    say = _Clock()
    place = node.up(options.name, say, owner=options.owner)
    say(f"ready; the host is {place.gateway} to it and to its pods")
    print(f"export KUBECONFIG={place.kubeconfig}")


def _down(options: argparse.Namespace) -> None:
    gone = node.down(options.name)
    print(f"{options.name}: {'gone' if gone else 'was not there'}", file=sys.stderr)


def _load(options: argparse.Namespace) -> None:
    names = [argument for argument in options.arguments[:1] if not argument.endswith(".tar")]
    place = node.running(*names or [DEFAULT])
    for archive in options.arguments[len(names) :]:
        node.load(place, Path(archive))
        print(f"{place.name}: {archive} is loaded", file=sys.stderr)


def _list(options: argparse.Namespace) -> None:
    for name in node.clusters():
        print(name)


def _build(options: argparse.Namespace) -> None:
    print(programs.node(_Clock()))


def _install(options: argparse.Namespace) -> int:
    return subprocess.run([HERE / "install.sh"], check=False).returncode


def _kubectl(arguments: Sequence[str]) -> int:
    # Of several files the first says which context is the current one.
    names = sorted(node.clusters(), key=lambda name: (name != DEFAULT, name))
    if not names:
        raise ClusterError("no cluster runs; ./tools/run cluster up")
    files = os.pathsep.join(str(node.running(name).kubeconfig) for name in names)
    environment = {**os.environ, "KUBECONFIG": files}
    return subprocess.run([programs.kubectl(_Clock()), *arguments], check=False, env=environment).returncode


class _Clock:
    """Says what is being done, and when that began."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def __call__(self, text: str) -> None:
        print(f"[{time.monotonic() - self._started:5.1f} s] {text}", file=sys.stderr)


if __name__ == "__main__":
    # To be ended politely is to be interrupted: what was begun is undone.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main(sys.argv[1:]))
