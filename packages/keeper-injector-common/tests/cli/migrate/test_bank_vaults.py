"""``keeper-injector migrate``: values and annotations of Bank-Vaults' webhook."""

from __future__ import annotations

import base64

import pytest
from migrating import migrate

POD = """\
kind: Pod
metadata:
  name: shop
  annotations:
    vault.security.banzaicloud.io/%s
spec:
  containers:
    - name: app
      command: [serve]
      env:
        - {name: PW, value: "vault:kv/data/shop/db#PASSWORD"}
        - {name: MORE, value: "%s"}
"""


def pod(annotation: str = "mutate: ''", value: str = "plain") -> str:
    """Return a manifest."""
    return POD % (annotation, value)


def test_values_are_migrated() -> None:
    """A value that is one secret of Vault becomes a variable; other values stay."""
    found = migrate(pod())
    assert (found.annotations(), found.messages) == ({"inject": "true", "env-PW": "db[PASSWORD]"}, [])
    assert found.pod()["spec"]["containers"][0]["env"] == [{"name": "MORE", "value": "plain"}]


@pytest.mark.parametrize(
    ("value", "reference"),
    [("vault:kv/data/shop/db#${.LOGIN}", "db[LOGIN]"), ("vault:kv/data/mail#a b", "mail[a b]")],
)
def test_other_forms_of_a_value(value: str, reference: str) -> None:
    """A template that only inserts a key is that key."""
    assert migrate(pod(value=value)).annotations()["env-MORE"] == reference


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("vault:kv/data/db#K#3", "MORE: version 3 has no counterpart"),
        ("vault:kv/data/db#${.K | b64enc}", "MORE: a template or several secrets in one value"),
        ("x ${vault:kv/data/db#K}", "MORE: a template or several secrets in one value"),
        (">>vault:kv/data/db#K#{}", "MORE: it makes Vault create a secret"),
    ],
)
def test_values_without_a_counterpart_are_named(value: str, message: str) -> None:
    """A value that cannot be a variable stays, and is named."""
    found = migrate(pod(value=value))
    assert any(message in item for item in found.messages)
    assert (value in found.text) == ("version" not in message)


@pytest.mark.parametrize(
    ("annotation", "written"),
    [
        ("log-level: warn", {"log-level": "warning"}),
        ("run-as-user: '1000'", {"run-as-user": "1000"}),
        ("vault-ignore-missing-secrets: 'true'", {"fail-on-error": "false"}),
    ],
)
def test_annotations_are_migrated(annotation: str, written: dict[str, str]) -> None:
    """Annotations with a counterpart are translated."""
    found = migrate(pod(annotation))
    assert {key: value for key, value in found.annotations().items() if key not in {"inject", "env-PW"}} == written
    assert found.messages == []


@pytest.mark.parametrize("name", ["vault-addr", "vault-agent-configmap", "mutate-probes", "transit-key-id", "new"])
def test_other_annotations_are_named(name: str) -> None:
    """Every other annotation is removed and named."""
    found = migrate(pod(f"{name}: x"))
    assert (name in found.text, name in found.messages[0]) == (False, True)


def test_all_keys_of_a_path() -> None:
    """A path whose keys all become variables is a record whose fields do."""
    found = migrate(pod("vault-env-from-path: kv/data/a,kv/data/b"))
    assert found.entries() == [{"record": name, "injectAsEnvVars": True} for name in "ab"]


def test_references_in_other_objects() -> None:
    """A variable from a ConfigMap or Secret of the input is migrated, and the object is named."""
    hidden = base64.b64encode(b"vault:kv/data/c#K").decode()
    text = (
        pod().replace('value: "plain"', "valueFrom: {configMapKeyRef: {name: c, key: A}}")
        + "---\nkind: ConfigMap\nmetadata: {name: c}\ndata: {A: 'vault:kv/data/a#K', B: plain}\n"
        + f"---\nkind: Secret\nmetadata: {{name: s}}\ndata: {{A: {hidden}, B: '?', C: /w==}}\n"
    )
    found = migrate(text)
    assert found.annotations()["env-MORE"] == "a[K]"
    assert [item.partition(":")[0] for item in found.messages] == ["ConfigMap/c", "Secret/s"]


def test_all_variables_of_an_object() -> None:
    """``envFrom`` of a ConfigMap that refers to Vault is named at the pod."""
    text = (
        pod().replace("      env:", "      envFrom: [{configMapRef: {name: c}}]\n      env:")
        + "---\nkind: ConfigMap\nmetadata: {name: c}\ndata: {A: 'vault:kv/data/a#K'}\n"
    )
    assert "ConfigMap/c: A: write env-NAME on this pod for each, and remove them there" in migrate(text).messages
