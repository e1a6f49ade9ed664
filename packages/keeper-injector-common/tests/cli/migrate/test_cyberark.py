"""``keeper-injector migrate``: CyberArk's Secrets Provider."""

from __future__ import annotations

import json
from typing import Any

import pytest
from migrating import Result, migrate

POD = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  template:
    metadata:
      annotations:
        conjur.org/container-mode: sidecar
        conjur.org/secrets-destination: file
        conjur.org/conjur-secrets.db: |
%s
%s
    spec:
      containers:
        - name: app
          volumeMounts:
            - {name: files, mountPath: /opt/secrets}
            - {name: cache, mountPath: /cache}
        - name: provider
          image: cyberark/secrets-provider-for-k8s:1.7
          volumeMounts:
            - {name: info, mountPath: /conjur/podinfo}
            - {name: files, mountPath: /conjur/secrets}
      volumes:
        - {name: info, downwardAPI: {items: []}}
        - {name: files, emptyDir: {medium: Memory}}
        - {name: cache, emptyDir: {}}
"""
PLAIN = ("- user: apps/shop/login", "- apps/shop/password")


def group(secrets: tuple[str, ...] = PLAIN, **more: str) -> Result:
    """Return what becomes of a group with these secrets and other annotations."""
    lines = "\n".join(f"          {line}" for line in secrets)
    others = "\n".join(
        f"        conjur.org/{key.replace('_', '-')}.db: {json.dumps(value)}" for key, value in more.items()
    )
    return migrate(POD % (lines, others))


def entry(secrets: tuple[str, ...] = PLAIN, **more: str) -> dict[str, Any]:
    """Return the entry of ``config`` of a group."""
    (found,) = group(secrets, **more).entries()
    return found


def test_a_group_is_a_file() -> None:
    """The application reads the file where it did; the provider and its volumes are gone."""
    found = group(secret_file_path="./db.yaml")
    assert found.entries() == [
        {
            "record": "shop",
            "path": "/opt/secrets/db.yaml",
            "format": "yaml",
            "keys": {"login": "user", "password": "password"},
        }
    ]
    spec = found.pod()["spec"]
    assert [item["name"] for item in spec["containers"]] == ["app"]
    assert [item["name"] for item in spec["volumes"]] == ["cache"]
    assert [item["name"] for item in spec["containers"][0]["volumeMounts"]] == ["cache"]
    assert (found.annotations(), found.messages) == ({"inject": "true"}, [])


@pytest.mark.parametrize(
    ("name", "path", "wanted"),
    [("json", "", "json"), ("dotenv", "", "env"), ("bash", "", "shell"), ("properties", "x.conf", "properties")],
)
def test_formats(name: str, path: str, wanted: str) -> None:
    """Each format of the provider has a counterpart, and a file has the same name."""
    more = {"secret_file_path": path} if path else {}
    found = entry(("- apps/shop/password",), secret_file_format=name, **more)
    suffix = {"json": "json", "dotenv": "env", "bash": "sh"}.get(name)
    assert (found["format"], found["path"]) == (wanted, f"/opt/secrets/{path or f'db.{suffix}'}")


@pytest.mark.parametrize(
    ("secrets", "more", "template"),
    [
        (
            ("- a: apps/shop/login", "- b: apps/shop/login"),
            {},
            '"a": {{ .login | toYaml }}\n"b": {{ .login | toYaml }}\n',
        ),
        (
            ("- a: apps/shop/x", "  content-type: base64"),
            {"secret_file_format": "json"},
            '{"a": {{ .x | base64dec | toJson }}}\n',
        ),
        (
            ("- a: apps/shop/user name",),
            {"secret_file_format": "template", "secret_file_template": 'x {{ secret "a" | b64enc }}'},
            'x {{ (index . "user name") | base64enc }}',
        ),
    ],
)
def test_templates(secrets: tuple[str, ...], more: dict[str, str], template: str) -> None:
    """What no format does becomes a template."""
    assert entry(secrets, **more)["template"] == template


def test_a_file_with_several_records() -> None:
    """Variables of several policies are several records in one template."""
    found = entry(("- a: apps/shop/x", "- b: apps/mail/y"), secret_file_format="dotenv")
    assert found["records"] == ["shop", "mail"]
    assert found["template"] == 'a={{ (index . "shop").x | toEnv }}\nb={{ (index . "mail").y | toEnv }}\n'


def test_the_path_of_a_policy_and_permissions() -> None:
    """Paths are relative to the policy, and permissions are a mode."""
    more = {"conjur_secrets_policy_path": "/apps/shop/", "secret_file_permissions": "-rw-r-----"}
    found = entry(("- login",), **more)
    assert (found["record"], found["keys"], found["mode"]) == ("shop", {"login": "login"}, "0640")


@pytest.mark.parametrize(
    ("secrets", "more", "message"),
    [
        (('"*"',), {}, "it reads all variables; list the records"),
        (("{",), {}, "not a list of variables"),
        (("- login",), {}, "the variable 'login' is in no policy"),
        (PLAIN, {"secret_file_format": "template"}, "its template is in a ConfigMap"),
        (PLAIN, {"secret_file_format": "xml"}, "secret-file-format 'xml' is unknown"),
        (PLAIN, {"secret_file_permissions": "rwx"}, "secret-file-permissions 'rwx': write mode:"),
        (
            PLAIN,
            {"secret_file_format": "template", "secret_file_template": "{{ range . }}{{ end }}"},
            "its template does more than insert values",
        ),
        (("- a: x/shop/p", "- b: y/shop/p"), {}, "several records would have one title"),
    ],
)
def test_a_group_without_a_counterpart_is_named(secrets: tuple[str, ...], more: dict[str, str], message: str) -> None:
    """The provider stays as long as not every group is migrated."""
    found = group(secrets, **more)
    assert any(message in item for item in found.messages)
    assert [item["name"] for item in found.pod()["spec"]["containers"]] == ["app", "provider"]


SECRETS = """\
kind: Pod
metadata:
  name: shop
  annotations:
    conjur.org/container-mode: init
    conjur.org/secrets-destination: k8s_secrets
    conjur.org/k8s-secrets: |
      - db
spec:
  containers: [{name: app, envFrom: [{secretRef: {name: db}}]}]
---
kind: Secret
metadata: {name: db}
stringData:
  conjur-map: |
    USER: apps/shop/login
    PW: apps/shop/password
    MAIL: apps/mail/password
"""


def test_secrets_are_merged() -> None:
    """The agent adds the keys of ``conjur-map`` to the Secret."""
    found = migrate(SECRETS)
    common = {"injectAsK8sSecret": True, "k8sSecretName": "db", "k8sSecretMode": "merge"}
    assert found.entries() == [
        {"record": "shop", **common, "k8sSecretKeys": {"login": "USER", "password": "PW"}},
        {"record": "mail", **common, "k8sSecretKeys": {"password": "MAIL"}},
    ]
    assert found.annotations() == {"init-only": "true", "inject": "true"}
    assert found.messages == ["Secret/db: remove conjur-map from it; the agent adds the same keys"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("metadata: {name: db}", "metadata: {name: other}", "Secret/db: it is not in the input"),
        ("  conjur-map: |", "  other: |", "Secret/db: it has no conjur-map"),
        ("MAIL: apps/mail/password", '"*": "*"', "Secret/db: it reads all variables"),
        ("MAIL: apps/mail/password", "M: {id: a/b, content-type: base64}", "M is decoded from base64"),
        (
            "metadata: {name: db}",
            "metadata: {name: db, annotations: {conjur.org/conjur-secrets.x: y}}",
            "its annotations have templates",
        ),
    ],
)
def test_a_secret_without_a_counterpart_is_named(old: str, new: str, message: str) -> None:
    """What the agent cannot write is named."""
    assert any(message in item for item in migrate(SECRETS.replace(old, new, 1)).messages)


def test_secrets_are_found_by_their_label() -> None:
    """Without a list, the provider takes the Secrets with its label."""
    text = SECRETS.replace("    conjur.org/k8s-secrets: |\n      - db\n", "").replace(
        "metadata: {name: db}", 'metadata: {name: db, labels: {conjur.org/managed-by-provider: "true"}}'
    )
    assert len(migrate(text).entries()) == 2
