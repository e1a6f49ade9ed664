"""``keeper-injector migrate``: annotations of vault-k8s are replaced."""

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


def test_vault_annotations_are_rewritten() -> None:
    """Comments and other annotations stay as they are, and lint accepts the result."""
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
