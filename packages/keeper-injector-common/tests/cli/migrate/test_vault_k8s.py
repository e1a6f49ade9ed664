"""``keeper-injector migrate``: annotations of vault-k8s are replaced."""

from __future__ import annotations

import json

import pytest
import yaml
from command_line import Result, run
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper_injector_common.annotations.parser import read_request
from keeper_injector_common.cli.manifests import entries_of
from keeper_injector_common.cli.migrate.rewriting import migrate_text
from keeper_injector_common.cli.migrate.run import Run
from keeper_injector_common.cli.migrate.titles import Titles

VAULT = """\
# ours
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  template:
    metadata:
      annotations:
        # the switch
        vault.hashicorp.com/agent-inject: "true"
        vault.hashicorp.com/role: shop
        vault.hashicorp.com/agent-inject-secret-db: secret/data/shop/database-credentials
        vault.hashicorp.com/agent-inject-file-db: db.json
        vault.hashicorp.com/agent-inject-template-db: |
          {{ with secret "secret/data/shop/database-credentials" }}
          {{ range $k, $v := .Data.data }}{{ $k }}{{ end }}
          {{ end }}
        vault.hashicorp.com/agent-pre-populate-only: "true"
        other: kept # with its comment
    spec: {containers: [{name: app}]}
"""


def left(found: Result) -> list[str]:
    """Return the messages without program, file and line."""
    lines = [line for line in found.errors.splitlines() if line.startswith("keeper-injector: -:")]
    return [line.split(": ", 2)[2] for line in lines]


def migrated(**annotations: str) -> tuple[dict[str, str], list[str]]:
    """Return the Keeper Injector annotations for those of vault-k8s, without prefixes, and the messages."""
    text = "".join(
        f"    vault.hashicorp.com/{key.replace('_', '-')}: {json.dumps(value)}\n" for key, value in annotations.items()
    )
    found = run("migrate", "-", text=f"kind: Pod\nmetadata:\n  annotations:\n{text}")
    written = yaml.safe_load(found.output)["metadata"]["annotations"] or {}
    return {key.removeprefix("keeper.security/"): value for key, value in written.items()}, left(found)


def test_vault_annotations_are_rewritten() -> None:
    """Comments and other annotations stay as they are, and lint accepts the result."""
    found = run("migrate", "-", text=VAULT)
    assert found.output.splitlines()[8:14] == [
        "        # the switch",
        '        keeper.security/inject: "true"',
        '        keeper.security/record-db: "database-credentials:/vault/secrets/db.json"',
        '        keeper.security/init-only: "true"',
        "        other: kept # with its comment",
        "    spec: {containers: [{name: app}]}",
    ]
    assert found.code == 1
    messages = [line for line in found.errors.splitlines() if line.startswith("keeper-injector")]
    assert [line.split(": ")[1] for line in messages] == ["-:11", "-:14"]
    assert run("lint", "--strict", "-", text=found.output).code == 0


SECRET = {"agent_inject": "true", "agent_inject_secret_db": "kv/db"}


@pytest.mark.parametrize(
    ("name", "value", "written"),
    [
        ("log_level", "warn", {"log-level": "warning"}),
        ("log_level", "trace", {"log-level": "debug"}),
        ("agent_limits_cpu", "", {"agent-limits-cpu": "none"}),
        ("agent_requests_mem", "", {"agent-requests-memory": "none"}),
        ("template_static_secret_render_interval", "90s", {"refresh-interval": "90s"}),
        ("template_static_secret_render_interval", "300", {"refresh-interval": "300s"}),
        ("agent_inject_perms_db", "0440", {"file-mode": "0440"}),
        ("agent_init_first", "t", {"init-first": "true"}),
    ],
)
def test_values_are_translated(name: str, value: str, written: dict[str, str]) -> None:
    """A value that both injectors have is written as Keeper Injector expects it, and nothing is left over for it."""
    found, messages = migrated(**SECRET, **{name: value})
    assert {key: found[key] for key in found if key not in {"inject", "record-db"}} == written
    assert len(messages) == 1  # the record


@pytest.mark.parametrize(
    ("name", "value", "written", "message"),
    [
        ("agent_run_as_user", "0", {}, "run-as-user is not written: '0' is not a number from 1 to 2147483647"),
        ("template_static_secret_render_interval", "5s", {"refresh-interval": "10s"}, "'5s' became 10s"),
        ("template_static_secret_render_interval", "500ms", {"refresh-interval": "10s"}, "'500ms' became 10s"),
        ("template_static_secret_render_interval", "9000h", {"refresh-interval": "604800s"}, "became 604800s"),
        ("template_static_secret_render_interval", "soon", {}, "refresh-interval is not written: 'soon' is not a dur"),
        ("log_level", "loud", {}, "log-level is not written: 'loud' is unknown"),
        ("secret_volume_path", "/", {}, "is not written"),
        ("agent_inject_perms_other", "0400", {}, "the modes differ, or some files have none"),
        ("agent_run_as_same_user", "true", {}, "agent-run-as-same-user: no counterpart, and removed"),
        ("agent_inject_command_db", "kill 1", {}, "use signal or notify-url"),
        ("agent_configmap", "x", {}, "migrate the templates of the ConfigMap"),
    ],
)
def test_values_without_a_counterpart_are_named(name: str, value: str, written: dict[str, str], message: str) -> None:
    """A value that Keeper Injector does not have is named, and is not written as it is."""
    found, messages = migrated(**SECRET, **{name: value})
    assert {key: found[key] for key in found if key not in {"inject", "record-db"}} == written
    assert any(message in item for item in messages), messages


def test_a_template_that_inserts_fields_is_translated() -> None:
    """The template reads the same fields of the record; vault-k8s does not need the annotation with the path beside it."""
    template = '{{- with secret "kv/data/db" -}}\nuser={{ .Data.data.login }}\n{{- end }}\n'
    found, messages = migrated(agent_inject="true", agent_inject_template_db=template)
    assert found["record-db"] == "db:/vault/secrets/db"
    assert found["template-db"] == "user={{ .login }}\n"
    assert messages[0].endswith("is shared with the application, with login as fields")


@pytest.mark.parametrize(
    "template",
    ['{{ with secret "a" }}{{ .Data | toJSON }}{{ end }}', '{{ with secret "a" }}{{ if .Data.x }}y{{ end }}{{ end }}'],
)
def test_other_templates_are_named(template: str) -> None:
    """A template that does more than insert fields is named, with the secret that it reads."""
    found, messages = migrated(agent_inject="true", agent_inject_template_db=template)
    assert (found["record-db"], "template-db" in found) == ("a:/vault/secrets/db", False)
    assert "rewrite the template" in messages[0]


def test_paths_that_end_alike_are_different_records() -> None:
    """Two paths with the same end become records in different folders; one path is one record in all files."""
    found, _ = migrated(
        agent_inject_secret_a="kv/shop/db", agent_inject_secret_b="kv/stock/db", agent_inject_secret_c="x"
    )
    assert [found[f"record-{name}"].split(":")[0] for name in "abc"] == ["shop/db", "stock/db", "x"]


@given(st.sets(st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map("/".join), min_size=1, max_size=8))
def test_different_paths_have_different_titles(paths: set[str]) -> None:
    """No two paths share a record, whatever their ends are, and the title is an end of the path."""
    titles = Titles()
    for path in paths:
        titles.of(path)
    titles.settle()
    found = {path: titles.of(path) for path in paths}
    assert len(set(found.values())) == len(paths)
    assert all(f"/{path}".endswith(f"/{title}") for path, title in found.items())


@pytest.mark.parametrize(
    "text",
    [
        "spec:\n  template:\n    metadata:\n      annotations:\n        {}\n",
        "kind: Deployment\nmetadata: {name: a}\nspec:\n  template:\n    metadata:\n      annotations:\n        {}\n",
        "podAnnotations:\n  {}\n",
        "kind: ControllerConfig\nspec:\n  metadata:\n    annotations:\n      {}\n",
    ],
    ids=["a patch without a kind", "a patch without a spec of pods", "values of a chart", "a custom resource"],
)
def test_annotations_are_found_everywhere(text: str) -> None:
    """Annotations are migrated wherever they are."""
    found = run("migrate", "-", text=text.replace("{}", "vault.hashicorp.com/agent-init-first: 'true'"))
    assert (found.code, found.output) == (0, text.replace("{}", 'keeper.security/init-first: "true"'))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "kind: Deployment\nmetadata:\n  annotations:\n    {}\nspec: {template: null}\n",
            "pods do not get it from here",
        ),
        ("kind: ServiceAccount\nmetadata:\n  annotations:\n    {}\n", "pods do not get it from here"),
        ("patches:\n- patch: |-\n    metadata: {annotations: vault.hashicorp.com/x}\n", "annotations inside a text"),
        ("- op: add\n  path: /metadata/annotations/vault.hashicorp.com~1role\n", "annotations inside a text"),
    ],
    ids=["the workload itself", "another object", "a patch in a text", "a JSON patch"],
)
def test_annotations_in_other_positions_are_named(text: str, message: str) -> None:
    """Annotations that cannot be migrated where they are stay there, and are named."""
    text = text.replace("{}", "vault.hashicorp.com/agent-init-first: 'true'")
    found = run("migrate", "-", text=text)
    assert (found.code, found.output) == (1, text)
    assert message in left(found)[0]


NAMES = st.sampled_from(
    [
        *(
            "agent-inject",
            "agent-inject-secret-a",
            "agent-inject-secret-B",
            "agent-inject-file-a",
            "secret-volume-path",
        ),
        *("agent-inject-template-a", "agent-inject-template-c", "agent-limits-cpu", "agent-run-as-user", "log-level"),
        *("agent-inject-perms-a", "agent-inject-containers", "template-static-secret-render-interval", "role"),
    ]
)
VALUES = st.one_of(
    st.sampled_from(
        ["true", "false", "", "0", "1000", "/", "/x", "a/b", "../x", "5s", "50m", "0400", "app,app", "a[b"]
    ),
    st.sampled_from(
        ['{{ with secret "a/b" }}{{ .Data.data.x }}{{ end }}', '{{ with secret "a" }}\n{{ .Data.x }}\n{{ end }}\n']
    ),
    st.text(max_size=20),
)


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(NAMES, VALUES, min_size=1))
def test_the_parser_accepts_what_is_written(annotations: dict[str, str]) -> None:
    """Whatever the values are, every annotation of vault-k8s is gone, and the webhook's parser accepts the others."""
    text = yaml.safe_dump(
        {"metadata": {"annotations": {f"vault.hashicorp.com/{k}": v for k, v in annotations.items()}}}
    )
    found = migrate_text(text, Run()).text
    node = yaml.compose(found).value[0][1].value[0][1]
    written = {entry.key: entry.text for entry in entries_of(node)}
    assert all(key.startswith("keeper.security/") for key in written)
    problems = [item for item in read_request(written)[1] if "keeper.security/inject" in written]
    assert problems == []


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("role", "a KSM configuration identifies the application"),
        ("auth-path", "a KSM configuration identifies the application"),
        ("tls-skip-verify", "it is about the connection to Vault"),
        ("agent-inject-status", "vault-k8s sets it itself"),
    ],
)
def test_what_is_not_needed_is_nothing_to_check(name: str, reason: str) -> None:
    """The message says that it was removed and why. The exit code and the table count only what a person must check."""
    text = f"kind: Pod\nmetadata:\n  annotations:\n    vault.hashicorp.com/{name}: x\n"
    found = run("migrate", "-", text=text)
    assert (found.code, name in found.output) == (0, False)
    assert f"-:4: vault.hashicorp.com/{name}: not needed, and removed: {reason}" in found.errors
    (file,) = json.loads(run("migrate", "-o", "json", "-", text=text).output)["files"]
    assert [item["toCheck"] for item in file["unmigrated"]] == [False]
    both = run("migrate", "-", text=f"{text}    vault.hashicorp.com/unknown: x\n")
    assert both.code == 1
    assert "unknown: no counterpart, and removed; check that the application works without it" in both.errors
