"""The command line of kind, and the settings that our node supports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cluster import kind
from cluster.kind import API, name_of, refused

CLUSTER = {"kind": "Cluster", "apiVersion": API}


@pytest.mark.parametrize(
    ("option", "config", "environment", "name"),
    [
        ("a", {"name": "b"}, {"KIND_CLUSTER_NAME": "c"}, "a"),
        ("", {"name": "b"}, {"KIND_CLUSTER_NAME": "c"}, "b"),
        ("", {}, {"KIND_CLUSTER_NAME": "c"}, "c"),
        ("", {}, {}, "kind"),
    ],
    ids=["option", "file", "environment", "default"],
)
def test_names_come_in_kinds_order(option: str, config: dict[str, Any], environment: dict[str, str], name: str) -> None:
    """The most explicit name wins; without any it is kind's own."""
    assert name_of(option, config, environment) == name


@pytest.mark.parametrize(
    "config",
    [CLUSTER, {**CLUSTER, "name": "x"}, {**CLUSTER, "nodes": [{"role": "control-plane"}]}],
    ids=["nothing", "a name", "the one node"],
)
def test_what_has_its_effect_is_taken(config: dict[str, Any]) -> None:
    """A file that asks for what there is anyhow is as good as none."""
    assert refused(config) == []


@pytest.mark.parametrize(
    ("config", "places"),
    [
        ({"kind": "Cluster", "apiVersion": "v1"}, ["kind and apiVersion"]),
        ({**CLUSTER, "nodes": [{"role": "control-plane"}, {"role": "worker"}]}, ["nodes"]),
        ({**CLUSTER, "nodes": [{"role": "control-plane", "image": "x"}]}, ["nodes"]),
        ({**CLUSTER, "featureGates": {"X": True}, "networking": {}}, ["featureGates", "networking"]),
    ],
    ids=["another version", "two nodes", "a node's image", "settings"],
)
def test_what_would_have_no_effect_is_refused(config: dict[str, Any], places: list[str]) -> None:
    """Every setting that our node would ignore is reported, so that a test never runs on a different cluster than it requested."""
    assert [problem.partition(":")[0] for problem in refused(config)] == places


@pytest.mark.parametrize(
    "words",
    [
        ["create", "cluster", "--name=x", "--kubeconfig=/k", "--image=i", "--config", "/c", "--wait", "5m"],
        ["load", "docker-image", "--name", "x", "image:1"],
        ["load", "image-archive", "a.tar", "b.tar", "--name=x"],
        ["delete", "cluster", "--name=x", "--kubeconfig=/k"],
        ["get", "kubeconfig", "--name=x", "--internal"],
        ["export", "kubeconfig", "--name=x"],
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_kinds_words_are_understood(words: list[str]) -> None:
    """Options are accepted where kind's users write them, with or without an equals sign."""
    assert kind.parser().parse_args(words).name == "x"


def test_a_cluster_that_is_not_there(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error is one line, and the exit code is kind's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert kind.main(["get", "kubeconfig", "--name=nowhere"]) == 1
    assert capsys.readouterr().err == "ERROR: nowhere: no such cluster; running clusters: none\n"
    assert kind.main(["get", "clusters"]) == 0
    assert capsys.readouterr().out == ""
