"""The part of kind's command line that pytest-kind and people use, for our node."""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from cluster import kubeconfig, node, versions
from cluster.archive import ARCHITECTURES
from cluster.errors import ClusterError
from cluster.places import Place
from images import builders
from images.errors import BuildError

API = "kind.x-k8s.io/v1alpha4"
OWNER = "CLUSTER_WHILE"
"""Environment variable: number of a process; a cluster that is created goes when that process ends."""


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code: 1 for every failure, as in kind."""
    options = parser().parse_args(arguments)
    try:
        options.call(options)
    except (ClusterError, BuildError) as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of those commands of kind that are supported."""
    root = argparse.ArgumentParser(prog="kind", description="kind's command line over a node without docker.")
    root.add_argument("-q", "--quiet", action="store_true", help="no progress")
    commands = root.add_subparsers(required=True, metavar="COMMAND")
    _command(commands, "version", _version)

    get = commands.add_parser("get").add_subparsers(required=True)
    _command(get, "clusters", _get_clusters)
    _command(get, "nodes", _get_nodes, "name")
    _command(get, "kubeconfig", _get_kubeconfig, "name", "internal")

    create = _command(commands.add_parser("create").add_subparsers(required=True), "cluster", _create)
    for option in ("name", "kubeconfig", "config", "image", "wait"):
        create.add_argument(f"--{option}", default="")
    create.add_argument("--retain", action="store_true")

    _command(commands.add_parser("delete").add_subparsers(required=True), "cluster", _delete, "name", "kubeconfig")
    _command(commands.add_parser("export").add_subparsers(required=True), "kubeconfig", _export, "name", "kubeconfig")

    load = commands.add_parser("load").add_subparsers(required=True)
    _command(load, "docker-image", _load_images, "name", "nodes").add_argument("images", nargs="+")
    _command(load, "image-archive", _load_archives, "name", "nodes").add_argument("archives", nargs="+", type=Path)
    return root


def _command(commands: Any, name: str, call: Any, *options: str) -> argparse.ArgumentParser:
    found: argparse.ArgumentParser = commands.add_parser(name)
    found.set_defaults(call=call)
    for option in options:
        switch = {"action": "store_true"} if option == "internal" else {"default": ""}
        found.add_argument(f"--{option}", **switch)  # type: ignore[arg-type]
    return found


def name_of(option: str, config: Mapping[str, Any], environment: Mapping[str, str]) -> str:
    """Return the cluster's name: from the option, the file or the environment, in this order; otherwise kind's default."""
    return option or str(config.get("name") or "") or environment.get("KIND_CLUSTER_NAME", "") or "kind"


def refused(config: Mapping[str, Any]) -> list[str]:
    """Return the settings in kind's configuration file that our node does not support: all except a name and one plain node."""
    problems = []
    if (config.get("kind"), config.get("apiVersion")) != ("Cluster", API):
        problems.append(
            f"kind and apiVersion: {config.get('kind')} {config.get('apiVersion')}; write Cluster and {API}"
        )
    nodes = config.get("nodes") or [{"role": "control-plane"}]
    if [dict(entry) for entry in nodes] != [{"role": "control-plane"}]:
        problems.append("nodes: there is one, of role control-plane, without settings; run kind with docker for others")
    known = {"kind", "apiVersion", "name", "nodes"}
    return problems + [f"{key}: has no effect here; run kind with docker" for key in config if key not in known]


def _version(options: argparse.Namespace) -> None:
    machine = platform.machine()
    print(f"kind of keeper-injector, Kubernetes {versions.chosen().name} linux/{ARCHITECTURES.get(machine, machine)}")


def _get_clusters(options: argparse.Namespace) -> None:
    names = node.clusters()
    print("\n".join(names) if names else "No kind clusters found.", file=sys.stdout if names else sys.stderr)


def _get_nodes(options: argparse.Namespace) -> None:
    print(_place(options).node)


def _get_kubeconfig(options: argparse.Namespace) -> None:
    print(_place(options).kubeconfig.read_text(encoding="utf-8"), end="")


def _create(options: argparse.Namespace) -> None:
    config = _read(Path(options.config)) if options.config else {}
    if options.image:
        _say(
            options,
            f"{options.image} is ignored; the node has Kubernetes {versions.chosen().name}; {versions.CHOICE} chooses another",
        )
    name = name_of(options.name, config, os.environ)
    owner = os.environ.get(OWNER)
    place = node.up(name, lambda text: _say(options, text), owner=int(owner) if owner else None)
    path = _write(place, options.kubeconfig)
    _say(options, f"{place.context} is the current context of {path}")


def _delete(options: argparse.Namespace) -> None:
    name = name_of(options.name, {}, os.environ)
    context = Place(name, 0).context
    _say(options, f"Deleting cluster {name!r} ...")
    node.down(name)
    path = _path(options.kubeconfig)
    if any(entry["name"] == context for entry in kubeconfig.read(path).get("contexts") or []):
        kubeconfig.write(path, kubeconfig.removed(kubeconfig.read(path), context))


def _export(options: argparse.Namespace) -> None:
    _write(_place(options), options.kubeconfig)


def _load_images(options: argparse.Namespace) -> None:
    place, builder = _place(options), builders.find(None)
    with tempfile.TemporaryDirectory(prefix="kind-") as folder:
        for image in options.images:
            archive = Path(folder) / "image.tar"
            builder.archive(image, archive)
            node.load(place, archive)


def _load_archives(options: argparse.Namespace) -> None:
    place = _place(options)
    for archive in options.archives:
        if not archive.is_file():
            raise ClusterError(f"{archive}: no such file")
        node.load(place, archive)


def _place(options: argparse.Namespace) -> Place:
    return node.running(name_of(options.name, {}, os.environ))


def _read(path: Path) -> dict[str, Any]:
    """Read kind's configuration file."""
    text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    config: dict[str, Any] = yaml.safe_load(text) or {}
    problems = refused(config)
    if problems:
        raise ClusterError("; ".join(f"{path}: {problem}" for problem in problems))
    return config


def _write(place: Place, option: str) -> Path:
    """Add the cluster to a kubeconfig file, as its current context."""
    path = _path(option)
    kubeconfig.write(path, kubeconfig.added(kubeconfig.read(path), kubeconfig.read(place.kubeconfig)))
    return path


def _path(option: str) -> Path:
    return Path(option) if option else kubeconfig.default_file()


def _say(options: argparse.Namespace, text: str) -> None:
    if not options.quiet:
        print(text, file=sys.stderr)


if __name__ == "__main__":
    # SIGTERM is handled like an interrupt, so that a partial start is undone.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main(sys.argv[1:]))
