"""``keeper-injector migrate``: Infisical's agent injector."""

from __future__ import annotations

import base64
import json

import pytest
from migrating import migrate

POD = """\
kind: Pod
metadata:
  name: shop
  namespace: shops
  annotations:
    org.infisical.com/inject: "true"
    org.infisical.com/inject-mode: %s
    org.infisical.com/agent-config-map: agent
spec:
  containers: [{name: app}]
"""
LOOP = '{{- with secret "p1" "prod" "/shop" }}\n{{- range . }}\n{{ .Key }}={{ .Value }}\n{{- end }}\n{{- end }}\n'
ONE = 'password={{ with getSecretByName "p1" "prod" "/shop" "DB_PASSWORD" }}{{ .Value }}{{ end }}\n'


def config_map(*templates: dict[str, object], **more: object) -> str:
    """Return a ConfigMap with the agent's configuration."""
    content = {"infisical": {"address": "https://infisical.example"}, "templates": list(templates), **more}
    manifest = {
        "kind": "ConfigMap",
        "metadata": {"name": "agent", "namespace": "shops"},
        "data": {"config.yaml": json.dumps(content)},
    }
    return f"---\n{json.dumps(manifest)}\n"


def template(text: str, path: str = "/app/.env", **config: object) -> dict[str, object]:
    """Return a template of the agent's configuration."""
    return {"destination-path": path, "template-content": text, "config": config}


@pytest.mark.parametrize(
    ("mode", "init_only"), [("init", {"init-only": "true"}), ("sidecar", {}), ("sidecar-init", {})]
)
def test_a_file_with_all_secrets_is_migrated(mode: str, init_only: dict[str, str]) -> None:
    """A template that writes all secrets of a path is a format."""
    found = migrate(POD % mode + config_map(template(LOOP, **{"polling-interval": "60s"})))
    assert found.annotations() == {"inject": "true", **init_only, "refresh-interval": "60s"}
    assert found.entries() == [{"record": "shop", "path": "/app/.env", "format": "env"}]
    assert found.messages == []


def test_the_default_mode_is_an_init_container() -> None:
    """Without a mode, there is no sidecar."""
    text = (POD % "x").replace("    org.infisical.com/inject-mode: x\n", "") + config_map(template(LOOP))
    assert migrate(text).annotations() == {"inject": "true", "init-only": "true"}


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        (LOOP.replace("{{ .Key }}", "export {{ .Key }}"), {"record": "shop", "format": "shell"}),
        (
            '{{ range listSecrets "p1" "prod" "/" }}{{.Key}}="{{.Value}}"\n{{ end }}',
            {"record": "prod", "format": "env"},
        ),
        (ONE, {"record": "shop", "template": "password={{ .DB_PASSWORD }}\n"}),
    ],
    ids=["shell", "listSecrets", "one"],
)
def test_other_templates_are_migrated(text: str, entry: dict[str, str]) -> None:
    """The usual forms of a template are translated, in base64 too."""
    encoded = {"destination-path": "/app/.env", "base64-template-content": base64.b64encode(text.encode()).decode()}
    for given in (template(text), encoded):
        assert migrate(POD % "sidecar" + config_map(given)).entries() == [{**entry, "path": "/app/.env"}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (config_map(template("{{ if true }}x{{ end }}")), "it does more than write all secrets of one path"),
        (config_map(template(LOOP, execute={"command": "x"})), "execute: use signal or notify-url"),
        (
            config_map(template(LOOP, **{"polling-interval": "60s"}), template(LOOP, "/b")),
            "a pod has one refresh-interval; choose one of 5m, 60s",
        ),
        (config_map(template(LOOP), sinks=[]), "ConfigMap/agent: sinks: no counterpart"),
        ("", "the ConfigMap agent is not in the input, or has no config.yaml"),
        ("---\nkind: ConfigMap\nmetadata: {name: agent}\ndata: {config.yaml: '['}\n", "config.yaml: not valid YAML"),
    ],
)
def test_what_is_left_is_named(text: str, message: str) -> None:
    """Everything that the user has to do is named."""
    assert any(message in item for item in migrate(POD % "sidecar" + text).messages)


def test_annotations_are_migrated() -> None:
    """Resources and users have counterparts; other annotations are named."""
    more = "agent-limits-cpu: 100m\n    org.infisical.com/agent-security-context-run-as-user: '5'\n"
    found = migrate((POD % "sidecar").replace("agent-config-map: agent\n", more))
    assert found.annotations() == {"agent-limits-cpu": "100m", "run-as-user": "5"}
    assert "nothing to inject" in found.messages[0]
    unknown = migrate((POD % "sidecar").replace("agent-config-map", "agent-client-max-delay"))
    assert any("agent-client-max-delay: no counterpart" in item for item in unknown.messages)
