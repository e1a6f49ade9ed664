"""The parts of a cluster that need no cluster."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import stat
import subprocess
import sys
import tarfile
from base64 import b64decode
from pathlib import Path
from typing import IO, Any

import pytest
import yaml
from cryptography import x509
from cryptography.x509.oid import NameOID

from cluster import archive, kubeconfig, pki, programs
from cluster.__main__ import main, require_context
from cluster.errors import ClusterError, run
from cluster.places import Place, cache, checked, existing, names, problems_of
from cluster.processes import Process, wait_for_any


@pytest.fixture(name="place")
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A place whose state is in a folder of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    place = Place("a", 3)
    place.state.mkdir(parents=True)
    return place


def entry(name: str, server: str = "https://s") -> dict[str, Any]:
    """Return a kubeconfig with one of each."""
    return {
        "clusters": [{"name": name, "cluster": {"server": server}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "users": [{"name": name, "user": {}}],
        "current-context": name,
    }


def test_clusters_side_by_side_share_nothing() -> None:
    """Two clusters have no name, folder, link or address in common."""
    first, second = Place("a", 0), Place("b", 1)
    for what in ("context", "node", "cgroup", "link", "gateway", "address", "state", "kubeconfig"):
        assert getattr(first, what) != getattr(second, what)


def test_a_place_is_found_again(place: Place) -> None:
    """The slot is what a name does not tell."""
    assert existing("a") is None
    (place.state / "slot").write_text("3")
    assert (existing("a"), names()) == (place, ["a"])


@pytest.mark.parametrize("name", ["", "A", "a_b", "-a", "a-", "../a", "a" * 41])
def test_names_that_no_node_could_have_are_refused(name: str) -> None:
    """A name becomes part of a host's name, of paths and of groups."""
    with pytest.raises(ClusterError, match="not a name for a cluster"):
        checked(name)


@pytest.mark.parametrize("name", ["a", "keeper-injector", "a" * 40])
def test_names_that_nodes_have_are_taken(name: str) -> None:
    """Small letters, digits and dashes."""
    assert checked(name) == name


def test_state_under_what_the_node_covers_is_refused() -> None:
    """A node sees its own /var/lib and /run, and so would not see its state there."""
    assert [problem.partition(":")[0] for problem in problems_of(Path("/var/lib/ci/.cache"))] == ["/var/lib/ci/.cache"]
    assert problems_of(Path("/home/ci/.cache")) == []


def test_kubeconfigs_are_added_and_removed() -> None:
    """Existing entries are kept, the added context becomes the current one, and after its removal no context is current."""
    mine = {**entry("mine"), "preferences": {"colors": True}}
    both = kubeconfig.added(mine, entry("kind-a"))
    assert [item["name"] for item in both["clusters"]] == ["mine", "kind-a"]
    assert (both["current-context"], both["preferences"]) == ("kind-a", {"colors": True})
    assert kubeconfig.removed(both, "kind-a") == {"apiVersion": "v1", "kind": "Config", **mine, "current-context": ""}


def test_an_added_kubeconfig_replaces_an_older_one_of_its_name() -> None:
    """A cluster that is created again has other keys."""
    merged = kubeconfig.added(entry("kind-a", "https://old"), entry("kind-a", "https://new"))
    assert [item["cluster"]["server"] for item in merged["clusters"]] == ["https://new"]
    assert len(merged["users"]) == len(merged["contexts"]) == 1


def test_an_empty_kubeconfig_has_no_entries(tmp_path: Path) -> None:
    """pytest-kind makes an empty file first; what is written is its owner's alone."""
    path = tmp_path / "folder/config"
    assert kubeconfig.read(path) == {}
    kubeconfig.write(path, kubeconfig.added({}, entry("kind-a")))
    assert kubeconfig.read(path)["current-context"] == "kind-a"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("")
    assert kubeconfig.read(path) == {}


def test_every_user_has_the_rights_of_its_certificate(place: Place) -> None:
    """Group and user are the certificate's organization and common name; nobody but the owner reads a key."""
    pki.write(place)
    subjects = {}
    for path in place.pki.glob("*.conf"):
        user = yaml.safe_load(path.read_text())["users"][0]["user"]
        subject = x509.load_pem_x509_certificate(b64decode(user["client-certificate-data"])).subject
        users, groups = (
            [name.value for name in subject.get_attributes_for_oid(oid) if "trustme" not in name.value]
            for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME)
        )
        subjects[path.stem] = (users, groups)
    assert subjects == {
        "admin": (["kubernetes-admin"], ["system:masters"]),
        "controller-manager": (["system:kube-controller-manager"], []),
        "scheduler": (["system:kube-scheduler"], []),
        "proxy": (["system:kube-proxy"], []),
        "kubelet": (["system:node:a-control-plane"], ["system:nodes"]),
    }
    assert {stat.S_IMODE(path.stat().st_mode) for path in place.pki.iterdir()} == {0o600}


def member(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    """Return a file of an archive."""
    found = tar.extractfile(name)
    assert found is not None
    return found


def test_an_image_is_one_static_program() -> None:
    """The archive is what containerd imports: the layer's digest is of the layer."""
    made = archive.image("localhost/x:1", b"\x7fELF")
    assert made == archive.image("localhost/x:1", b"\x7fELF")
    with tarfile.open(fileobj=io.BytesIO(made)) as tar:
        (manifest,) = json.load(member(tar, "manifest.json"))
        config = json.load(member(tar, manifest["Config"]))
        layer = member(tar, manifest["Layers"][0]).read()
    assert manifest["RepoTags"] == ["localhost/x:1"]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        assert [(member.name, member.mode) for member in tar] == [("program", 0o755)]


def test_a_process_is_not_mistaken_for_another() -> None:
    """The same PID with another start time is another process; a process that has ended is not found."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as popen:
        process = Process.of(popen.pid)
        assert process is not None
        assert process.alive
        assert Process.parse(str(process)) == process
        assert not Process(process.pid, process.started + 1).alive
        process.kill()
        wait_for_any(process)
        assert not process.alive, "it is not reaped yet, but it has ended"
    assert popen.returncode == -signal.SIGKILL


def test_waiting_ends_with_the_first_of_several() -> None:
    """One that goes on does not hold up."""
    own = Process.of(os.getpid())
    with subprocess.Popen([sys.executable, "-c", ""]) as popen:
        other = Process.of(popen.pid)
        assert own is not None
        assert other is not None
        wait_for_any(own, other)
    assert own.alive


def test_children_are_found() -> None:
    """The first process in the node's namespaces is known by its parent."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as popen:
        process = Process.of(popen.pid)
        assert process is not None
        assert process.child is None
        popen.communicate(b"\n")


def test_what_is_interrupted_is_not_taken_for_complete(place: Place) -> None:
    """A folder in the cache is whole or not there."""
    target = cache() / "digest"

    def interrupted() -> None:
        with programs.complete_or_not_at_all(target) as making:
            (making / "node").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not target.exists()
    with programs.complete_or_not_at_all(target) as making:
        (making / "node").write_text("whole")
    assert (target / "node").read_text() == "whole"
    assert list(cache().glob("making-*")) == []


def test_a_failure_shows_what_the_program_said() -> None:
    """The command is named, shortly, with its exit code."""
    with pytest.raises(ClusterError, match=r"^sh -c .*: exit code 3: said"):
        run("sh", "-c", "echo said >&2; exit 3")
    with pytest.raises(ClusterError, match="no-such-program: not found on PATH"):
        run("no-such-program")


def test_commands_on_a_cluster_that_is_not_there(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """What is not there is gone already; nothing can be loaded into it."""
    assert main(["down", "nowhere"]) == 0
    assert main(["load", "nowhere", "x.tar"]) == os.EX_UNAVAILABLE
    assert main(["kubectl", "get", "pods"]) == os.EX_UNAVAILABLE
    assert main(["helm", "list"]) == os.EX_UNAVAILABLE
    assert capsys.readouterr().err.splitlines() == [
        "nowhere: was not running",
        "cluster: nowhere: no such cluster; running clusters: none",
        *["cluster: no cluster is running; start one: ./tools/run cluster up"] * 2,
    ]


@pytest.mark.parametrize(
    ("names", "arguments", "is_refused"),
    [
        (["a"], ["get", "pods"], False),
        (["a", "b"], ["get", "pods"], True),
        (["a", "b"], ["--context", "kind-b", "get", "pods"], False),
        (["a", "b"], ["get", "pods", "--context=kind-b"], False),
        (["a", "b"], ["exec", "pod", "--", "program", "--context", "x"], True),
    ],
)
def test_several_clusters_need_a_choice(names: list[str], arguments: list[str], is_refused: bool) -> None:
    """A command never takes one of several clusters silently."""
    if not is_refused:
        require_context(names, "--context", arguments)
        return
    with pytest.raises(ClusterError, match="2 clusters are running; choose one: --context kind-a or --context kind-b"):
        require_context(names, "--context", arguments)
