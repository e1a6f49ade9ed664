"""``keeper-injector migrate --from secrets``: what a pod reads from Kubernetes Secrets, it gets from Keeper."""

from __future__ import annotations

import pytest
from migrating import migrate

POD = """\
apiVersion: v1
kind: Pod
metadata:
  name: shop
spec:
  containers:
    - name: app
      command: [serve]
      env:
        - name: PW
          valueFrom: {secretKeyRef: {name: db, key: password}}
        - {name: PORT, value: "80"}
      volumeMounts: [{name: tls, mountPath: /tls}]
    - name: other
  volumes:
    - name: tls
      secret: {secretName: tls, defaultMode: 288, items: [{key: tls.crt, path: server/cert.pem}]}
"""
SECRET = "---\nkind: Secret\nmetadata: {name: %s}\nstringData: {%s: hunter2}\n"


def test_only_on_request() -> None:
    """Secrets stay, unless ``--from secrets`` says otherwise."""
    assert migrate(POD).text == POD


def test_variables_and_files_are_migrated() -> None:
    """Variables and files have the same names, paths and modes."""
    found = migrate(POD, "secrets")
    assert found.annotations()["env-PW"] == "db[password]"
    assert found.entries() == [
        {"record": "tls[tls.crt]", "path": "/tls/server/cert.pem", "mode": "0440", "containers": ["app"]}
    ]
    spec = found.pod()["spec"]
    assert spec["containers"][0]["env"] == [{"name": "PORT", "value": "80"}]
    assert "volumes" not in spec
    assert "volumeMounts" not in spec["containers"][0]


def test_the_keys_of_a_mounted_secret_are_those_of_the_input() -> None:
    """Each key is a file; the values of a Secret are never printed by migrate."""
    text = POD.replace(", items: [{key: tls.crt, path: server/cert.pem}]", "") + SECRET % ("tls", "ca.crt")
    found = migrate(text, "secrets")
    assert found.entries()[0]["path"] == "/tls/ca.crt"
    assert "create a record with the title 'tls' and the fields ca.crt" in found.messages[-1]
    assert not any("hunter2" in message for message in found.messages)


def test_a_key_mounted_as_a_file() -> None:
    """``subPath`` mounts one key at a path."""
    text = POD.replace("mountPath: /tls}", "mountPath: /app/cert.pem, subPath: server/cert.pem}")
    assert migrate(text, "secrets").entries()[0]["path"] == "/app/cert.pem"


def test_all_keys_as_variables() -> None:
    """The fields of the record become variables of this container."""
    text = POD.replace("      env:", "      envFrom: [{prefix: DB_, secretRef: {name: db}}]\n      env:")
    found = migrate(text + SECRET % ("db", "USER"), "secrets")
    assert found.entries()[0] == {
        "record": "db",
        "injectAsEnvVars": True,
        "fields": ["USER"],
        "envPrefix": "DB_",
        "containers": ["app"],
    }
    assert "envFrom" not in found.pod()["spec"]["containers"][0]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (", items: [{key: tls.crt, path: server/cert.pem}]", "", "the keys of Secret tls are unknown"),
        (
            "secret: {secretName: tls,",
            "projected: {sources: [{secret: {name: a}}],",
            "a projected volume with Secret a",
        ),
        ("key: password}", "key: password, optional: true}", "PW: it was optional"),
        ("      env:", "      envFrom: [{secretRef: {name: db}}]\n      env:", "the keys of Secret db are unknown"),
    ],
)
def test_what_is_left_is_named(old: str, new: str, message: str) -> None:
    """Everything that the user has to do is named."""
    assert any(message in item for item in migrate(POD.replace(old, new), "secrets").messages)


def test_the_secret_of_the_injector_stays() -> None:
    """The Secret with the KSM configuration cannot come from Keeper."""
    text = POD.replace("name: db,", "name: keeper-credentials,")
    assert migrate(text, "secrets").pod()["spec"]["containers"][0]["env"][0]["name"] == "PW"
