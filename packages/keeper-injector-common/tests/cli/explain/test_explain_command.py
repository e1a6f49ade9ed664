"""``keeper-injector explain``: describes what annotations will do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from command_line import run
from sample_inputs import POD

from keeper_injector_common.annotations.table import ANNOTATIONS, find
from keeper_injector_common.cli.explain.explain_command import describe_annotation


@pytest.mark.parametrize(("namespace", "interval"), [("shop", "2m"), ("other", "10m")])
def test_annotation_defaults_are_applied(tmp_path: Path, namespace: str, interval: str) -> None:
    """Defaults are read from chart values, which may hold other keys; those of a namespace override them."""
    values = tmp_path / "values.yaml"
    values.write_text(
        "replicas: 3\ndefaults: {refresh-interval: 10m, init-only: false}\n"
        "namespaceDefaults: {shop: {refresh-interval: 2m}}\n",
        encoding="utf-8",
    )
    found = run("explain", "--defaults", str(values), "--namespace", namespace, "-", text=POD.replace("90s", "5m"))
    assert "every 5m (±10 %)" in found.output
    without = "\n".join(line for line in POD.splitlines() if "refresh-interval" not in line)
    found = run("explain", "--defaults", str(values), "--namespace", namespace, "-", text=without)
    assert f"every {interval} (±10 %)" in found.output


def test_invalid_annotations_are_reported() -> None:
    """Problems appear in the tree, and the exit code is 1."""
    found = run("explain", "-", text=POD.replace("90s", "9x"))
    assert found.code == 1
    assert "└─ problem: keeper.security/refresh-interval: '9x' is not a duration" in found.output


@pytest.mark.parametrize("item", ANNOTATIONS, ids=lambda item: item.name)
def test_every_annotation_is_described(item: Any) -> None:
    """An annotation is described by its name with or without the prefix."""
    assert describe_annotation(item.name) == describe_annotation(item.key)
    assert describe_annotation(item.name).splitlines()[1].strip() == item.help


def test_values_without_quotes_are_reported_as_by_lint() -> None:
    """An annotation that is not a string is a problem, because a cluster rejects it."""
    text = POD.replace('inject: "true"', "inject: true")
    explained, linted = run("explain", "-", text=text), run("lint", "-", text=text)
    message = 'keeper.security/inject: true is a boolean, not a string; write "true" in quotes'
    assert (explained.code, explained.output) == (1, f"Pod/web\n└─ problem: {message}\n")
    assert (linted.code, linted.output) == (1, f"-:5:5: error: Pod/web: {message}\n")


@pytest.mark.parametrize("name", ["k8s-secret-mode", "format-x", "sidecar", "log-level", "on-removal", "signal"])
def test_allowed_values_are_listed(name: str) -> None:
    """The allowed values of an annotation are listed by ``explain`` and on the reference page."""
    item, _ = find(name) or (None, "")
    assert item is not None
    assert f"\n  values: {', '.join(item.words)}\n" in run("explain", "annotation", name).output
    (row,) = [line for line in run("annotations").output.splitlines() if line.startswith(f"| `{item.name}` |")]
    assert all(f"`{word}`" in row and item.parse(word) for word in item.words)


def test_an_unknown_annotation_is_an_error() -> None:
    """The error suggests the most similar annotation."""
    found = run("explain", "annotation", "refresh-intervall")
    assert (found.code, "did you mean refresh-interval?" in found.errors) == (2, True)
