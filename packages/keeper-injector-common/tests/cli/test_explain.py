"""``keeper-injector explain``: describes what annotations will do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from command_line import run
from sample_inputs import POD

from keeper_injector_common.annotations.table import ANNOTATIONS, find
from keeper_injector_common.cli.explain.explain_command import describe_annotation


def test_a_pod_is_explained() -> None:
    """The explanation has the source, the schedule, the files and variables of each container, and the effects of a change."""
    found = run("explain", "-", text=POD)
    assert (found.code, found.errors) == (0, "")
    requests = "one request for all records, one for the folders, one download for each changed attachment"
    volume = "memory volume of at most 16Mi, mounted read-only"
    unknown = "the manifest does not set the application's user, or sets root"
    assert found.output.splitlines() == [
        "Pod/web",
        "├─ KSM configuration: key config of Secret keeper-credentials, which only the agent can read",
        f"├─ secrets are fetched from Keeper when the pod starts and every 1m30s (±10 %): {requests}",
        f"├─ added: an init container and a sidecar, running as user 65532 and group 65532; {unknown}",
        "├─ container app",
        f"│  ├─ /app  {volume}",
        "│  │  ├─ /app/db.env  env of db, 0440, owner 65532:65532",
        "│  │  └─ /app/server.pem  raw of keeper://TLS/file/server.pem, 0444, owner 65532:65532",
        "│  └─ $PW  db[password]",
        "├─ container other",
        f"│  ├─ /app/all  {volume}",
        "│  │  └─ /app/all/  one json file for each record in folder Prod/DB and its subfolders, 0444, owner 65532:65532",
        "│  └─ $PW  db[password]",
        "└─ when a secret changes in Keeper",
        "   ├─ all files are replaced together, without a restart; the application must read them again",
        "   ├─ SIGHUP is sent to the main process of each container, which must run as the agent's user",
        "   ├─ POST http://127.0.0.1:8080/x",
        "   └─ environment variables do not change until the container restarts",
    ]


@pytest.mark.parametrize(
    ("pod", "containers", "expected"),
    [
        ("runAsUser: 1000", ("", ""), "0400, owner 1000:1000"),
        ("runAsUser: 1000", ("runAsUser: 1001", "runAsUser: 1001"), "0400, owner 1001:1001"),
        ("runAsUser: 1000, fsGroup: 2000", ("", ""), "0400, owner 1000:2000"),
        ("runAsUser: 1000, runAsGroup: 3000", ("", ""), "0400, owner 1000:3000"),
        ("fsGroup: 2000", ("runAsUser: 1001", "runAsUser: 1002"), "0440, owner 65532:2000"),
        ("runAsUser: 0", ("", ""), "0444, owner 65532:65532"),
    ],
)
def test_owner_and_mode_are_derived_as_in_the_webhook(pod: str, containers: tuple[str, str], expected: str) -> None:
    """The owner and mode of files follow the security contexts of all containers that receive them."""
    contexts = ", ".join(
        f"{{name: c{number}, securityContext: {{{context}}}}}" for number, context in enumerate(containers)
    )
    text = f"""\
kind: Pod
metadata: {{name: web, annotations: {{keeper.security/inject: "true", keeper.security/secret: db}}}}
spec: {{securityContext: {{{pod}}}, containers: [{contexts}]}}
"""
    assert run("explain", "-", text=text).output.count(f"/keeper/secrets/db.json  json of db, {expected}") == 2


@pytest.mark.parametrize(
    "spec", ["5", "{containers: 5}", "{containers: [5, {name: }], securityContext: [x]}", "[]", ""]
)
def test_an_invalid_pod_is_explained_as_far_as_possible(spec: str) -> None:
    """A pod that an API server would reject is explained without a traceback."""
    text = f"""\
kind: Pod
metadata: {{name: web, annotations: {{keeper.security/inject: "true", keeper.security/secret: db}}}}
spec: {spec}
"""
    found = run("explain", "-", text=text)
    assert (found.code, found.errors) == (0, "")
    assert "├─ every container\n" in found.output


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


@pytest.mark.parametrize("command", ["explain", "lint"])
def test_invalid_defaults_are_an_error(tmp_path: Path, command: str) -> None:
    """All problems of the defaults are reported, and no manifest is checked with only some of them."""
    values = tmp_path / "values.yaml"
    values.write_text("defaults: {refresh-interval: 1x, secret: db}\n", encoding="utf-8")
    found = run(command, "--defaults", str(values), "-", text=POD)
    assert (found.code, found.output) == (2, "")
    assert "defaults.refresh-interval: '1x' is not a duration" in found.errors
    assert "defaults.secret: no annotation that can have a default" in found.errors


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
