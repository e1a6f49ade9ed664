"""``keeper-injector migrate``: manifests for Keeper's Go injector."""

from __future__ import annotations

from typing import Any

import yaml
from command_line import run
from migrating import migrate

POD = """\
kind: Pod
metadata:
  name: shop
  annotations:
    keeper.security/inject: "true"
    keeper.security/secret-db: "db:/keeper/secrets/db.json"
spec:
  containers:
    - name: app
      volumeMounts:
        - name: secrets
          mountPath: /keeper/secrets/
        - name: data
          mountPath: /data
  volumes:
    - name: secrets
      emptyDir: {medium: Memory}
    - name: data
      emptyDir: {}
"""


def test_an_own_volume_for_secrets_is_removed() -> None:
    """The Go injector needed a volume at the directory of the secrets. The webhook makes its own."""
    found = migrate(POD)
    spec = found.pod()["spec"]
    assert [item["name"] for item in spec["volumes"]] == ["data"]
    assert [item["name"] for item in spec["containers"][0]["volumeMounts"]] == ["data"]
    assert found.messages == []


def test_other_volumes_stay() -> None:
    """A volume with content, or at another directory, is not the injector's."""
    for text in (
        POD.replace("{medium: Memory}", "null\n      configMap: {name: a}"),
        POD.replace("/keeper/secrets/\n", "/x\n"),
    ):
        changed = text.replace("emptyDir: null\n      ", "")
        names = [item["name"] for item in migrate_any(changed)["spec"]["volumes"]]
        assert names == ["secrets", "data"]


def migrate_any(text: str) -> Any:
    """Return the pod that ``migrate`` prints, valid or not."""
    return yaml.safe_load(run("migrate", "-", text=text).output)
