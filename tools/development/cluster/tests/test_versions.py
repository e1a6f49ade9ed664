"""The versions of Kubernetes that a node can be built from, and how their Go modules are made."""

from __future__ import annotations

import re

import pytest

from cluster import modules, versions
from cluster.__main__ import main
from cluster.errors import ClusterError
from cluster.versions import NODE, OLD_PROGRAM, Version

THEIRS = """\
module k8s.io/kubernetes

go 1.24.0

godebug default=go1.24

require (
\tgithub.com/spf13/cobra v1.8.1
\tgo.etcd.io/etcd/client/v3 v3.5.21
)

require (
\tgo.etcd.io/etcd/server/v3 v3.5.21 // indirect
)

replace (
\tk8s.io/api => ./staging/src/k8s.io/api
\tk8s.io/code-generator => ./staging/src/k8s.io/code-generator
\tk8s.io/component-base => ./staging/src/k8s.io/component-base
\tk8s.io/sample-apiserver => ./staging/src/k8s.io/sample-apiserver
)
"""
"""The go.mod of Kubernetes, shortened."""


@pytest.mark.parametrize("version", versions.every(), ids=lambda version: version.minor)
def test_one_version_of_kubernetes(version: Version) -> None:
    """All libraries of Kubernetes are of the minor version that is stamped in, and nearly all of the same patch release."""
    lines = version.modules.read_text().splitlines()
    replaced = [line.split()[-1] for line in lines if "=> k8s.io/" in line]
    expected = modules.staging(version.name)
    assert {name.rpartition(".")[0] for name in replaced} == {expected.rpartition(".")[0]}
    assert replaced.count(expected) >= len(replaced) - 1
    assert version.modules.with_suffix(".sum").is_file()


def test_every_version_has_an_order() -> None:
    """Numbers are compared, not texts; the newest is the default."""
    numbers = [version.number for version in versions.every()]
    assert numbers == sorted(set(numbers))
    assert versions.every()[-1] == versions.newest()
    assert versions.find("1.33").number == (1, 33)


def test_the_option_comes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What starts its own nodes, such as pytest-kind, gets the version of the run; an unknown one is never replaced silently."""
    monkeypatch.delenv(versions.CHOICE, raising=False)
    assert versions.chosen() == versions.newest()
    monkeypatch.setenv(versions.CHOICE, "1.33")
    assert versions.chosen().minor == "1.33"
    assert versions.chosen("1.35").minor == "1.35"
    monkeypatch.setenv(versions.CHOICE, "")
    with pytest.raises(ClusterError, match="cannot be built"):
        versions.chosen()


@pytest.mark.parametrize("minor", ["1.3", "1.29", "v1.33", "1.33.13", ""])
def test_a_version_without_a_node_is_refused(minor: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The message names those that exist, and nothing is started."""
    with pytest.raises(ClusterError, match=r"choose one of 1\.30, 1\.33, 1\.35, 1\.37$"):
        versions.find(minor)
    assert main(["up", "never-started", "--kubernetes", minor]) != 0
    assert "choose one of" in capsys.readouterr().err


def test_the_older_program_is_the_same_but_for_the_context() -> None:
    """The two programs differ only in the argument of the command of the kubelet."""
    new = (NODE / "main.go").read_text().replace('\t"context"\n', "", 1)
    new = re.sub(
        r"func\(\) \*cobra\.Command \{ return (kubelet\.NewKubeletCommand)\(context\.Background\(\)\) \}", r"\1", new
    )
    assert (OLD_PROGRAM / "main.go").read_text() == new


def test_a_module_replaces_every_library_it_uses() -> None:
    """Go, etcd and cobra are as Kubernetes requires them."""
    names = modules.libraries(THEIRS)
    assert names == ["k8s.io/api", "k8s.io/component-base"]
    text = modules.module("v1.33.13", THEIRS, dict.fromkeys(names, "v0.33.12"))
    assert text.splitlines()[1:] == [
        "module localcluster",
        "go 1.24.0",
        "godebug default=go1.24",
        "require (",
        "\tgithub.com/spf13/cobra v1.8.1",
        "\tgo.etcd.io/etcd/server/v3 v3.5.21",
        "\tk8s.io/component-base v0.33.12",
        "\tk8s.io/kubectl v0.0.0",
        "\tk8s.io/kubernetes v1.33.13",
        ")",
        "replace (",
        "\tk8s.io/api => k8s.io/api v0.33.12",
        "\tk8s.io/component-base => k8s.io/component-base v0.33.12",
        ")",
    ]


@pytest.mark.parametrize(
    ("wanted", "listed", "order"),
    [(5, {2, 4, 7, 10}, [5, 4, 7, 2, 10]), (0, set(), [0]), (7, {6, 8}, [7, 6, 8])],
    ids=str,
)
def test_the_nearest_patch_release_is_tried_first(wanted: int, listed: set[int], order: list[int]) -> None:
    """The wanted one comes before all others, even if the proxy does not list it."""
    assert modules.nearest(wanted, listed) == order
