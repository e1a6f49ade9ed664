"""``keeper-injector`` explain, render, schema, annotations and completion, as a person runs them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from command_line import run
from hypothesis import given
from hypothesis import strategies as st

from keeper_injector_common.annotations.config import parse
from keeper_injector_common.annotations.table import ANNOTATIONS
from keeper_injector_common.cli.schema import CONFIG, PLAN
from keeper_injector_common.errors import PlanError, Problem
from keeper_injector_common.plan.reader import from_json

POD = """\
kind: Pod
metadata:
  name: web
  annotations:
    keeper.security/inject: "true"
    keeper.security/config: |
      secrets:
        - {record: db, path: /app/db.env, mode: "0440", containers: [app]}
        - {record: TLS, file: server.pem, path: /app/server.pem, containers: [app]}
      folders: [{path: Prod/DB, outputPath: /app/all, recursive: true, containers: [other]}]
    keeper.security/env-PW: db[password]
    keeper.security/signal: HUP
    keeper.security/notify-url: http://127.0.0.1:8080/x
    keeper.security/refresh-interval: 90s
spec: {containers: [{name: app}, {name: other}]}
"""
PLANNED: dict[str, Any] = {
    "version": 1,
    "credentials": {"method": "secret", "path": "/keeper/credentials/config"},
    "state": "/keeper/state",
    "refreshInterval": 300.0,
    "failOnError": True,
    "volumeSize": 16777216,
    "directories": [
        {
            "path": "/keeper/volumes/keeper-secrets-0",
            "target": "/app",
            "files": [
                {"name": "db.env", "sources": ["db"], "format": "env", "mode": "0400"},
                {"name": "dsn", "sources": ["db"], "template": "{{ .login }}@{{ .host.hostName }}", "mode": "0400"},
                {"name": "cert", "sources": ["keeper://TLS/file/server.pem"], "format": "raw", "mode": "0444"},
            ],
            "folders": [{"folder": "Prod", "mode": "0400", "format": "json", "recursive": True, "below": "all"}],
        }
    ],
    "environments": [
        {
            "path": "/keeper/volumes/keeper-env-0",
            "style": "exec",
            "mode": "0400",
            "variables": [{"name": "PW", "source": "db[password]"}],
            "records": [{"source": "db", "prefix": "DB_", "fields": ["login"]}],
        }
    ],
}
SAMPLE = """\
records:
  - title: db
    fields: { login: app, password: made-up, host: { hostName: h } }
  - title: TLS
    files: { server.pem: "made-up certificate" }
  - title: inner
    folder: Prod/DB
    custom: { Environment: production }
"""


def test_explain() -> None:
    """Where from, how often, who gets what with which mode, and what the application must do."""
    found = run("explain", "-", text=POD)
    assert (found.code, found.errors) == (0, "")
    asked = "one request for all records, one for the folders, one download for each attachment that has changed"
    volume = "memory volume of at most 16Mi, mounted read-only"
    unknown = "the manifest does not say as whom the application runs, or it runs as root"
    assert found.output.splitlines() == [
        "Pod/web",
        "├─ KSM configuration: Secret keeper-credentials, key config, mounted for the agent alone",
        f"├─ Keeper is asked at the start and every 1m30s, ±10 %: {asked}",
        f"├─ an init container and a sidecar are added, which run as user 65532 and group 65532; {unknown}",
        "├─ container app",
        f"│  ├─ /app  {volume}",
        "│  │  ├─ /app/db.env  env of db, 0440, owner 65532:65532",
        "│  │  └─ /app/server.pem  raw of keeper://TLS/file/server.pem, 0444, owner 65532:65532",
        "│  └─ $PW  db[password]",
        "├─ container other",
        f"│  ├─ /app/all  {volume}",
        "│  │  └─ /app/all/  one json file for each record of folder Prod/DB and the folders below it, 0444, owner 65532:65532",
        "│  └─ $PW  db[password]",
        "└─ after a change in Keeper",
        "   ├─ files change together, without a restart; the application must read them again",
        "   ├─ SIGHUP goes to the main process of each container, which must run as the agent's user",
        "   ├─ POST http://127.0.0.1:8080/x",
        "   └─ variables are those of the container's start: restart it to see new ones",
    ]


@pytest.mark.parametrize(
    ("pod", "containers", "told"),
    [
        ("runAsUser: 1000", ("", ""), "0400, owner 1000:1000"),
        ("runAsUser: 1000", ("runAsUser: 1001", "runAsUser: 1001"), "0400, owner 1001:1001"),
        ("runAsUser: 1000, fsGroup: 2000", ("", ""), "0400, owner 1000:2000"),
        ("runAsUser: 1000, runAsGroup: 3000", ("", ""), "0400, owner 1000:3000"),
        ("fsGroup: 2000", ("runAsUser: 1001", "runAsUser: 1002"), "0440, owner 65532:2000"),
        ("runAsUser: 0", ("", ""), "0444, owner 65532:65532"),
    ],
)
def test_explain_derives_owner_and_mode(pod: str, containers: tuple[str, str], told: str) -> None:
    """As the webhook does, of all containers that receive files."""
    contexts = ", ".join(
        f"{{name: c{number}, securityContext: {{{context}}}}}" for number, context in enumerate(containers)
    )
    text = f"""\
kind: Pod
metadata: {{name: web, annotations: {{keeper.security/inject: "true", keeper.security/secret: db}}}}
spec: {{securityContext: {{{pod}}}, containers: [{contexts}]}}
"""
    assert run("explain", "-", text=text).output.count(f"/keeper/secrets/db.json  json of db, {told}") == 2


@pytest.mark.parametrize(
    "spec", ["5", "{containers: 5}", "{containers: [5, {name: }], securityContext: [x]}", "[]", ""]
)
def test_explain_a_pod_that_is_none(spec: str) -> None:
    """What an API server would refuse is explained as far as it goes, and is no reason for a traceback."""
    text = f"""\
kind: Pod
metadata: {{name: web, annotations: {{keeper.security/inject: "true", keeper.security/secret: db}}}}
spec: {spec}
"""
    found = run("explain", "-", text=text)
    assert (found.code, found.errors) == (0, "")
    assert "├─ every container\n" in found.output


@pytest.mark.parametrize(("namespace", "interval"), [("shop", "2m"), ("other", "10m")])
def test_explain_knows_the_charts_defaults(tmp_path: Path, namespace: str, interval: str) -> None:
    """From a file of values, which may hold all else that the chart has."""
    values = tmp_path / "values.yaml"
    values.write_text(
        "replicas: 3\ndefaults: {refresh-interval: 10m, init-only: false}\n"
        "namespaceDefaults: {shop: {refresh-interval: 2m}}\n",
        encoding="utf-8",
    )
    found = run("explain", "--defaults", str(values), "--namespace", namespace, "-", text=POD.replace("90s", "5m"))
    assert "every 5m," in found.output
    without = "\n".join(line for line in POD.splitlines() if "refresh-interval" not in line)
    found = run("explain", "--defaults", str(values), "--namespace", namespace, "-", text=without)
    assert f"every {interval}," in found.output


@pytest.mark.parametrize("command", ["explain", "lint"])
def test_defaults_that_cannot_be(tmp_path: Path, command: str) -> None:
    """All that is wrong is named, and nothing is judged by half of them."""
    values = tmp_path / "values.yaml"
    values.write_text("defaults: {refresh-interval: 1x, secret: db}\n", encoding="utf-8")
    found = run(command, "--defaults", str(values), "-", text=POD)
    assert (found.code, found.output) == (2, "")
    assert "defaults.refresh-interval: '1x' is not a duration" in found.errors
    assert "defaults.secret: no annotation that can have a default" in found.errors


def test_lint_knows_the_charts_defaults(tmp_path: Path) -> None:
    """What a default lacks is the pod's to add."""
    values = tmp_path / "values.yaml"
    values.write_text("defaults: {auth-method: gcp-secret-manager}\n", encoding="utf-8")
    found = run("lint", "--defaults", str(values), "-", text=POD)
    assert "gcp-secret-manager needs keeper.security/gcp-secret-id; add it" in found.output


def test_explain_what_cannot_be_followed() -> None:
    """Problems are in the tree, and the exit code says so."""
    found = run("explain", "-", text=POD.replace("90s", "9x"))
    assert found.code == 1
    assert "└─ problem: keeper.security/refresh-interval: '9x' is not a duration" in found.output


@pytest.mark.parametrize("item", ANNOTATIONS, ids=lambda item: item.name)
def test_explain_an_annotation(item: Any) -> None:
    """Each, with its prefix or without; a name that is none has a near one."""
    from keeper_injector_common.cli.explain.command import annotation

    assert annotation(item.name) == annotation(item.key)
    assert annotation(item.name).splitlines()[1].strip() == item.help


def test_what_is_no_text_is_said_as_lint_says_it() -> None:
    """No cluster takes it, so there is nothing to explain."""
    text = POD.replace('inject: "true"', "inject: true")
    explained, linted = run("explain", "-", text=text), run("lint", "-", text=text)
    said = 'keeper.security/inject: a boolean found; write "true" in quotes'
    assert (explained.code, explained.output) == (1, f"Pod/web\n└─ problem: {said}\n")
    assert (linted.code, linted.output) == (1, f"-:5:5: error: Pod/web: {said}\n")


@pytest.mark.parametrize("name", ["k8s-secret-mode", "format-x", "sidecar", "log-level", "on-removal", "signal"])
def test_what_may_stand_there_is_said(name: str) -> None:
    """Every word, on the page and by explain: none is learnt by a denial alone."""
    from keeper_injector_common.annotations.table import find

    item, _ = find(name) or (None, "")
    assert item is not None
    assert f"\n  values: {', '.join(item.words)}\n" in run("explain", "annotation", name).output
    (row,) = [line for line in run("annotations").output.splitlines() if line.startswith(f"| `{item.name}` |")]
    assert all(f"`{word}`" in row and item.parse(word) for word in item.words)


def test_the_default_of_resources_is_the_charts() -> None:
    """Not `none`, which as a value drops a limit."""
    assert run("explain", "annotation", "agent-limits-memory").output.splitlines()[3:] == [
        "  default: the chart's agent.resources; chart or namespace"
    ]


def test_every_key_of_the_yaml_annotation_is_on_the_page() -> None:
    """The table is made of the schema, so that a key of one is a key of the other."""
    _, _, table = run("annotations").output.partition("## Keys of `config`")
    shown = [line.split("`")[1] for line in table.splitlines() if line.startswith("| `")]
    properties = [CONFIG["properties"][name]["items"]["properties"] for name in ("secrets", "folders")]
    assert shown == [key for held in properties for key in held]


def test_explain_an_unknown_annotation() -> None:
    """The near one is named."""
    found = run("explain", "annotation", "refresh-intervall")
    assert (found.code, "did you mean refresh-interval?" in found.errors) == (2, True)


def test_render(tmp_path: Path) -> None:
    """Files, templates, attachments, folders and variables, as the agent would make them."""
    (tmp_path / "plan.json").write_text(json.dumps(PLANNED), encoding="utf-8")
    (tmp_path / "sample.yaml").write_text(SAMPLE, encoding="utf-8")
    arguments = ("render", "--plan", str(tmp_path / "plan.json"), "--records", str(tmp_path / "sample.yaml"))
    found = run(*arguments)
    assert (found.code, found.errors) == (0, "")
    assert found.output == (
        "==> /app/db.env (0400)\nLOGIN=app\nPASSWORD=made-up\nHOST_HOSTNAME=h\n"
        "==> /app/dsn (0400)\napp@h\n"
        "==> /app/cert (0444)\nmade-up certificate\n"
        '==> /app/all/inner.json (0400)\n{\n  "Environment": "production"\n}\n'
        "==> /keeper/volumes/keeper-env-0: variables (0400)\nDB_LOGIN=app\nPW=made-up\n"
    )
    assert run(*arguments, "--output", str(tmp_path / "out")).code == 0
    assert (tmp_path / "out/app/dsn").read_text(encoding="utf-8") == "app@h"


@pytest.mark.parametrize(
    ("sample", "code", "message"),
    [
        ("records: []", 2, "no list of records; write records: with a title in each"),
        ("records: [{}]", 2, "records[0]: a record without a title"),
        ("records: [{title: a, filds: {}}]", 2, "records[0].filds: unknown; a record has title, uid"),
        ("records: [{title: a, fields: x}]", 2, "records[0].fields: no mapping"),
        (
            "records: [{title: dbb}]",
            1,
            "/app/db.env: record 'db': not shared with this application; did you mean 'dbb'?",
        ),
    ],
    ids=["nothing", "no title", "unknown key", "wrong type", "another record"],
)
def test_render_what_cannot_be(sample: str, code: int, message: str, tmp_path: Path) -> None:
    """Each with its place; what can be made is made."""
    (tmp_path / "plan.json").write_text(json.dumps(PLANNED), encoding="utf-8")
    found = run("render", "--plan", str(tmp_path / "plan.json"), "--records", "-", text=sample)
    assert (found.code, message in found.errors, "Traceback" in found.errors) == (code, True, False)


def test_annotations() -> None:
    """The reference is that of the documentation; programs get it as JSON."""
    document = (Path(__file__).parents[1] / "docs/annotations.md").read_text(encoding="utf-8")
    assert document.endswith(run("annotations").output)
    found = json.loads(run("annotations", "-o", "json").output)["annotations"]
    assert [item["annotation"] for item in found] == [item.key for item in ANNOTATIONS]


@pytest.mark.parametrize("name", ["config", "plan"])
def test_schemas_are_schemas(name: str) -> None:
    """Of draft 2020-12."""
    jsonschema.Draft202012Validator.check_schema(json.loads(run("schema", name).output))


TEXT = st.sampled_from(["db", "/app/x", "a[b]", ""])
WRONG = st.sampled_from([[], {}, [[1]], {"a": {"b": 1}}])
ENTRY = st.dictionaries(
    st.sampled_from(["record", "path", "fields", "format", "containers", "injectAsEnvVars", "filds"]),
    st.one_of(TEXT, st.booleans(), st.lists(TEXT, max_size=2), WRONG),
)
DOCUMENT = st.fixed_dictionaries({}, optional={"secrets": st.lists(ENTRY, max_size=2), "secret": st.just([])})


@given(DOCUMENT)
def test_what_the_parser_takes_the_schema_takes(document: dict[str, Any]) -> None:
    """Editors show no error where there is none; a key that does not exist is one for both."""
    problems: list[Problem] = []
    parse("config", yaml.safe_dump(document), problems, [])
    errors = list(jsonschema.Draft202012Validator(CONFIG).iter_errors(document))
    if any(error.validator == "additionalProperties" for error in errors):
        assert problems
    if not problems:
        # The parser reads `yes` and `"true"` as switches and a single text as a list, which editors may mark.
        assert all(error.validator == "type" for error in errors), errors


def test_the_plans_schema_knows_plans() -> None:
    """A plan that the agent reads is valid, and what the schema refuses the agent refuses."""
    jsonschema.validate(PLANNED, PLAN)
    from_json(PLANNED)
    for change in ({"version": 2}, {"refreshIntervall": 5}, {"directories": [{"path": "/a"}]}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**PLANNED, **change}, PLAN)
        with pytest.raises(PlanError):
            from_json({**PLANNED, **change})


def test_bash_completes() -> None:
    """Commands first, then the options of the command that was chosen."""
    script = run("completion", "bash").output + (
        "COMP_WORDS=(keeper-injector li); COMP_CWORD=1; _keeper_injector; echo ${COMPREPLY[*]}\n"
        "COMP_WORDS=(keeper-injector lint --st); COMP_CWORD=2; _keeper_injector; echo ${COMPREPLY[*]}\n"
    )
    assert subprocess.check_output(["bash", "-eu", "-c", script], text=True).split() == ["lint", "--strict"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_read_theirs(shell: str) -> None:
    """Every command is in it; where the shell is installed it parses it."""
    found = run("completion", shell).output
    assert all(word in found for word in ("lint", "explain", "render", "strict"))
    if shutil.which(shell):
        subprocess.run([shell, "-n", "-c", found], check=True, capture_output=True)
