"""``keeper-injector explain``: the explanation of a workload."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import run
from sample_inputs import POD


def test_a_pod_is_explained() -> None:
    """The explanation has the source, the schedule, the files and variables of each container, and the effects of a change."""
    found = run("explain", "-", text=POD)
    assert (found.code, found.errors) == (0, "")
    requests = "one request for all records, one for the folders, one download for each changed attachment"
    volume = "new memory volume of at most 16Mi, read-only; what the image has there is hidden"
    unknown = "the manifest does not set the application's user, or sets root"
    title, *lines = found.output.splitlines()
    assert title == "Pod/web"
    warnings = [line for line in lines if line.startswith("├─ warning: ")]
    assert [line.split(": ")[1] for line in warnings] == ["keeper.security/signal", "keeper.security/config"]
    assert lines[len(warnings) :] == [
        "├─ KSM configuration: key config of Secret keeper-credentials, which only the agent can read",
        f"├─ secrets are fetched from Keeper when the pod starts and every 1m30s (±10 %): {requests}",
        f"├─ added: an init container and a sidecar, running as user 65532 and group 65532; {unknown}",
        "├─ container app",
        f"│  ├─ /app  {volume}",
        "│  │  ├─ /app/db.env      0440  65532:65532  env of db",
        "│  │  └─ /app/server.pem  0444  65532:65532  raw of keeper://TLS/file/server.pem",
        "│  └─ environment variables, set when the container starts",
        "│     └─ $PW  db[password]",
        "├─ container other",
        f"│  ├─ /app/all  {volume}",
        "│  │  └─ /app/all/  0444  65532:65532  one json file for each record in folder Prod/DB and its subfolders",
        "│  └─ environment variables, set when the container starts",
        "│     └─ $PW  db[password]",
        "├─ settings other than the default: refresh-interval 90s",
        "└─ when a secret changes in Keeper, within 1m30s (±10 %)",
        "   ├─ files       all are replaced together, without a restart; the application must read them again",
        "   ├─ variables   do not change until the container restarts",
        "   ├─ signal      SIGHUP to the main process of each container, which must run as the agent's user",
        "   └─ notify-url  POST http://127.0.0.1:8080/x",
    ]


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("restart", "containers that receive the secret, gracefully, within 10m, and at most once in 5m"),
        ("restart-all", "all containers, init containers too, without preStop hook and grace period, within 10m"),
    ],
)
def test_what_restarts_after_a_change_is_shown(tmp_path: Path, word: str, shown: str) -> None:
    """The explanation says which containers restart, how, and when."""
    values = tmp_path / "values.yaml"
    values.write_text("restartAllContainers: true\n", encoding="utf-8")
    settings = f'keeper.security/on-change: "{word}", keeper.security/restart-spread: 10m'
    pod = (
        f'{{kind: Pod, metadata: {{name: web, annotations: {{keeper.security/inject: "true", keeper.security/secret: db, {settings}}}}},'
        " spec: {containers: [{name: app, image: app}]}}"
    )
    found = run("explain", "--defaults", str(values), "-", text=pod)
    (line,) = [line for line in found.output.splitlines() if "─ restart " in line]
    assert shown in line


@pytest.mark.parametrize(
    ("selection", "shown"),
    [
        ("fields: [login, password]", "properties of login, password from db"),
        ("keys: {login: app.user, password: app.pw}", "properties of login as app.user, password as app.pw from db"),
    ],
)
def test_the_fields_of_a_file_and_their_names_are_shown(selection: str, shown: str) -> None:
    """A file that has only some fields, or has them under other names, says so."""
    config = f"secrets: [{{record: db, path: /app/db.properties, {selection}}}]"
    annotations = {"keeper.security/inject": "true", "keeper.security/config": config}
    text = json.dumps({"kind": "Pod", "metadata": {"name": "web", "annotations": annotations}, "spec": {}})
    assert f"/app/db.properties  0444  65532:65532  {shown}\n" in run("explain", "-", text=text).output


@pytest.mark.parametrize(
    ("pod", "containers", "expected"),
    [
        ("runAsUser: 1000", ("", ""), "0400  1000:1000"),
        ("runAsUser: 1000", ("runAsUser: 1001", "runAsUser: 1001"), "0400  1001:1001"),
        ("runAsUser: 1000, fsGroup: 2000", ("", ""), "0400  1000:2000"),
        ("runAsUser: 1000, runAsGroup: 3000", ("", ""), "0400  1000:3000"),
        ("fsGroup: 2000", ("runAsUser: 1001", "runAsUser: 1002"), "0440  65532:2000"),
        ("runAsUser: 0", ("", ""), "0444  65532:65532"),
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
    assert run("explain", "-", text=text).output.count(f"/keeper/secrets/db.json  {expected}  json of db\n") == 2


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


def test_every_setting_that_is_not_the_default_is_named() -> None:
    """A setting that no other line describes appears with its value, and a default of the chart counts as a setting."""
    text = """\
kind: Pod
metadata:
  name: web
  annotations: {keeper.security/inject: "true", keeper.security/secret: db, keeper.security/strict-lookup: "yes"}
spec: {}
"""
    assert "├─ settings other than the default: strict-lookup yes\n" in run("explain", "-", text=text).output
    plain = text.replace(', keeper.security/strict-lookup: "yes"', "")
    assert "settings other" not in run("explain", "-", text=plain).output


@pytest.mark.parametrize(
    ("settings", "lines"),
    [
        ("", ["files", "notification  none; to tell the application, set signal or notify-url"]),
        (", keeper.security/signal: HUP", ["files", "signal  SIGHUP to the main process"]),
        (", keeper.security/notify-url: 'http://localhost:80/x'", ["files", "notify-url  POST http://localhost:80/x"]),
        (
            ", keeper.security/on-removal: remove",
            ["files", "notification  none", "removal  the file and the variables of a record that"],
        ),
    ],
    ids=["nothing", "signal", "url", "removal"],
)
def test_what_happens_on_rotation(settings: str, lines: list[str]) -> None:
    """The last branch names each effect of a change, and says if nothing tells the application."""
    text = f"""\
kind: Pod
metadata: {{name: web, annotations: {{keeper.security/inject: "true", keeper.security/secret: db{settings}}}}}
spec: {{securityContext: {{runAsUser: 1000}}, containers: [{{name: app, command: [/app]}}]}}
"""
    output = run("explain", "-", text=text).output
    _, found = output.split("└─ when a secret changes in Keeper, within 5m (±10 %)\n")
    shown = [" ".join(line.split()[1:]) for line in found.splitlines()]
    assert len(shown) == len(lines)
    for line, start in zip(shown, lines, strict=True):
        assert line.startswith(" ".join(start.split()))


def test_the_tree_as_json() -> None:
    """The JSON output has the lines of the tree, with the file and line of each workload, and the same exit code."""
    tree = run("explain", "-", text=POD).output.splitlines()
    found = run("explain", "-o", "json", "-", text=POD)
    (workload,) = json.loads(found.output)["workloads"]
    assert (found.code, workload["file"], workload["line"], workload["workload"]) == (0, "-", 1, "Pod/web")

    def lines(nodes: list[dict[str, Any]]) -> Iterator[str]:
        for node in nodes:
            yield node["text"]
            yield from lines(node["lines"])

    assert list(lines(workload["explanation"])) == [line.lstrip("│ ├└─") for line in tree[1:]]
    bad = run("explain", "-o", "json", "-", text=POD.replace("90s", "9x"))
    assert (bad.code, "'9x' is not a duration" in json.loads(bad.output)["workloads"][0]["explanation"][0]["text"]) == (
        1,
        True,
    )
