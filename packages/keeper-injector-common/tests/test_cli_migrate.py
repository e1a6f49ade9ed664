"""``keeper-injector migrate``: what has a counterpart is rewritten in its place, what has none is named."""

from __future__ import annotations

from command_line import run

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
          {{ end }}
        vault.hashicorp.com/agent-pre-populate-only: "true"
        other: kept # with its comment
    spec: {containers: [{name: app}]}
"""


def test_vault() -> None:
    """Lines of other annotations and comments stay where they are; the result is accepted by lint."""
    found = run("migrate", "-", text=VAULT)
    assert found.output.splitlines()[8:14] == [
        "        # the switch",
        '        keeper.security/inject: "true"',
        '        keeper.security/secret-db: "database-credentials:/vault/secrets/db.json"',
        '        keeper.security/init-only: "true"',
        "        other: kept # with its comment",
        "    spec: {containers: [{name: app}]}",
    ]
    assert found.code == 1
    assert [line.split(": ")[1] for line in found.errors.splitlines()] == ["-:11", "-:12", "-:14"]
    assert run("lint", "--strict", "-", text=found.output).code == 0


def test_old_names_of_our_own() -> None:
    """Only the name changes."""
    text = 'kind: Pod\nmetadata:\n  annotations:\n    keeper.security/inject: "true"\n    keeper.security/auth-secret: mine\n'
    found = run("migrate", "-", text=text)
    assert (found.code, found.output) == (0, text.replace("auth-secret: mine", 'ksm-config: "mine"'))


def test_an_external_secret() -> None:
    """The annotations that its pods need, with the Secret kept for as long as it is read; lint accepts them."""
    text = """\
kind: ExternalSecret
metadata: {name: shop}
spec:
  target: {name: shop-db}
  data: [{secretKey: DB_PASSWORD, remoteRef: {key: db, property: password}}]
"""
    found = run("migrate", "-", text=text)
    assert found.code == 0
    annotations = found.output.split("annotations:\n")[1]
    pod = f"kind: Pod\nmetadata:\n  name: a\n  annotations:\n  {annotations.replace(chr(10), chr(10) + '  ')}\n"
    assert "password: DB_PASSWORD" in annotations
    checked = run("lint", "--strict", "-", text=pod)
    assert (checked.code, checked.output) == (0, "")


def test_annotations_in_one_line() -> None:
    """They cannot be rewritten in place, and that is said."""
    text = 'kind: Pod\nmetadata: {annotations: {vault.hashicorp.com/agent-inject: "true"}}\n'
    found = run("migrate", "-", text=text)
    assert (found.code, found.output) == (1, text)
    assert "write annotations in lines of their own" in found.errors
