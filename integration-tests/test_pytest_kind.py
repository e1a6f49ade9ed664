"""An unmodified pytest-kind works with the kind in tools/development/cluster/bin, without Docker and downloads."""

from __future__ import annotations

import os
import subprocess
import urllib.request
import warnings
from collections.abc import Iterator
from pathlib import Path

import pykube
import pytest
from pytest_kind import KindCluster

from cluster import node, programs

KIND = Path(__file__).parents[1] / "tools/development/cluster/bin/kind"
NAME = "pytest-kind-proof"

pytestmark = pytest.mark.skipif(bool(node.problems()), reason="; ".join(node.problems()))


@pytest.fixture(name="kind", scope="module")
def _kind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KindCluster]:
    """A cluster that pytest-kind creates and deletes; it is also stopped if this process is killed."""
    with pytest.MonkeyPatch.context() as patch:
        # pytest-kind creates a folder in the current directory; kind gets the owner's PID from the environment.
        patch.chdir(tmp_path_factory.mktemp("pytest-kind"))
        patch.setenv("CLUSTER_WHILE", str(os.getpid()))
        cluster = KindCluster(NAME, kind_path=KIND, kubectl_path=programs.kubectl(print))
        cluster.create()
        yield cluster
        cluster.delete()


def asked(*arguments: str) -> list[str]:
    """Return the words of kind's output."""
    return subprocess.run([KIND, *arguments], capture_output=True, text=True, check=True).stdout.split()


def test_a_created_cluster_is_kinds(kind: KindCluster) -> None:
    """The cluster is listed, its node has kind's name and is ready, and a second `create` reuses it."""
    assert NAME in asked("get", "clusters")
    assert asked("get", "nodes", "--name", NAME) == [f"{NAME}-control-plane"]
    kind.create()
    assert "Ready" in kind.kubectl("get", "nodes", "--no-headers").split()


def test_the_client_of_pytest_kind_works(kind: KindCluster) -> None:
    """pykube connects to the API server with the kubeconfig that was written."""
    names = [namespace.name for namespace in pykube.Namespace.objects(kind.api)]
    assert "kube-system" in names


def test_a_loaded_image_runs(kind: KindCluster) -> None:
    """A pod starts from an image that was loaded, not pulled, and its port can be forwarded."""
    images = os.environ.get("KEEPER_INJECTOR_IMAGES", "")
    if not images:
        pytest.skip("KEEPER_INJECTOR_IMAGES is not set")
    prefix, _, tag = images.rpartition(":")
    image = f"{prefix}/keeper-injector-local-keeper:{tag}"
    kind.load_docker_image(image)
    program = ("--command", "--", "python3", "-m", "http.server", "8080", "--directory", "/opt")
    kind.kubectl("run", "probe", f"--image={image}", "--image-pull-policy=Never", *program)
    kind.kubectl("wait", "--for=condition=Ready", "pod/probe", "--timeout=60s")
    with (
        # pytest-kind kills its kubectl without waiting for it.
        warnings.catch_warnings(action="ignore", category=ResourceWarning),
        kind.port_forward("pod/probe", 8080) as port,
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer,
    ):
        assert answer.status == 200


def test_a_deleted_cluster_is_gone(kind: KindCluster) -> None:
    """`delete` removes the cluster and its context in the file; deleting a missing cluster is not an error."""
    kind.delete()
    assert NAME not in asked("get", "clusters")
    assert f"kind-{NAME}" not in kind.kubeconfig_path.read_text(encoding="utf-8")
