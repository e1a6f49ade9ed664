"""``python -m cluster.modules v1.33.13``: write the Go module of an older node, ``node/kubernetes-1.33.mod`` and ``.sum``.

Kubernetes requires its own libraries ("staging") by path, so a module that requires Kubernetes has to replace each of them by its
published version. The proxy may not serve a library in exactly that patch release; the nearest served one is used instead.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from cluster.errors import ClusterError, run
from cluster.versions import NODE

REQUIRED = ("github.com/spf13/cobra", "go.etcd.io/etcd/server/v3")
"""Modules that main.go imports besides Kubernetes: in the version that Kubernetes itself requires."""
UNUSED = re.compile(r"k8s\.io/(code-generator|sample-.*)")
"""Libraries that no program of a node imports."""


def main(arguments: list[str]) -> int:
    """Write the two files."""
    if len(arguments) != 1 or not re.fullmatch(r"v1\.\d+\.\d+", arguments[0]):
        print("usage: python -m cluster.modules v1.MINOR.PATCH", file=sys.stderr)
        return 2
    try:
        (kubernetes,) = arguments
        downloaded = json.loads(run("go", "mod", "download", "-json", f"k8s.io/kubernetes@{kubernetes}"))
        theirs = Path(downloaded["GoMod"]).read_text(encoding="utf-8")
        path = NODE / f"kubernetes-{kubernetes.removeprefix('v').rpartition('.')[0]}.mod"
        text = module(kubernetes, theirs, {name: served(name, staging(kubernetes)) for name in libraries(theirs)})
        path.write_text(text, encoding="utf-8")
        # tidy adds what is required indirectly, and the checksums.
        run("go", "-C", NODE, "mod", "tidy", f"-modfile={path.name}")
    except ClusterError as error:
        print(f"modules: {error}", file=sys.stderr)
        return 1
    print(path)
    return 0


def staging(kubernetes: str) -> str:
    """Return the version of the libraries of a version of Kubernetes: ``v0.33.13`` of ``v1.33.13``."""
    return kubernetes.replace("v1.", "v0.", 1)


def libraries(theirs: str) -> list[str]:
    """Return the names of the libraries that Kubernetes' go.mod, *theirs*, replaces by folders."""
    names = re.findall(r"^\t(k8s\.io/\S+) => \./staging", theirs, re.MULTILINE)
    return [name for name in names if not UNUSED.fullmatch(name)]


def module(kubernetes: str, theirs: str, versions: dict[str, str]) -> str:
    """Return the go.mod of a node; *versions* are those of the libraries."""
    return "\n".join(_lines(kubernetes, theirs, versions)) + "\n"


def _lines(kubernetes: str, theirs: str, versions: dict[str, str]) -> Iterator[str]:
    yield f"// Made by python -m cluster.modules {kubernetes}"
    yield "module localcluster"
    # Go's own version, and the behaviour of Go that this version of Kubernetes was released with.
    yield from re.findall(r"^(?:go|godebug) .*$", theirs, re.MULTILINE)
    yield "require ("
    for name in REQUIRED:
        (version,) = re.findall(rf"^\t{re.escape(name)} (\S+)", theirs, re.MULTILINE)
        yield f"\t{name} {version}"
    yield f"\tk8s.io/component-base {versions['k8s.io/component-base']}"
    yield "\tk8s.io/kubectl v0.0.0"
    yield f"\tk8s.io/kubernetes {kubernetes}"
    yield ")"
    yield "replace ("
    for name, version in versions.items():
        yield f"\t{name} => {name} {version}"
    yield ")"


def served(name: str, wanted: str) -> str:
    """Return the patch release of a library, nearest to *wanted*, that the proxy serves with a checksum."""
    minor, _, patch = wanted.rpartition(".")
    listed = run("go", "list", "-m", "-versions", name).split()[1:]
    patches = {int(item.rpartition(".")[2]) for item in listed if re.fullmatch(rf"{re.escape(minor)}\.\d+", item)}
    for candidate in nearest(int(patch), patches):
        version = f"{minor}.{candidate}"
        try:
            run("go", "mod", "download", f"{name}@{version}")
        except ClusterError:
            continue
        return version
    raise ClusterError(f"{name}: no {minor}.* is served; choose another release of Kubernetes")


def nearest(wanted: int, patches: set[int]) -> list[int]:
    """Return *wanted*, which proxies sometimes serve without listing it, then the others by their distance."""
    return sorted(patches | {wanted}, key=lambda patch: (abs(patch - wanted), patch))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
