"""``keeper-injector migrate``: 1Password's injector and operator."""

from __future__ import annotations

import pytest
from migrating import migrate

POD = """\
kind: Deployment
metadata: {name: shop}
spec:
  template:
    metadata:
      annotations:
        operator.1password.io/inject: "app"
        operator.1password.io/version: "2"
    spec:
      containers:
        - name: app
          command: [serve]
          env:
            # from 1Password
            - name: DB_USER
              value: op://shop/database/login/user name
            - name: OP_CONNECT_HOST
              value: http://connect:8080
            - name: OP_CONNECT_TOKEN
              valueFrom: {secretKeyRef: {name: connect, key: token}}
            - name: PORT
              value: "80"
        - name: proxy
          env: [{name: DB_USER, value: plain}]
"""


def test_variables_are_migrated() -> None:
    """The listed containers get the variables; the credentials of 1Password and nothing else are gone."""
    found = migrate(POD)
    assert found.annotations() == {"inject": "true", "env-DB_USER": "database[user name]", "containers": "app"}
    app, proxy = found.pod()["spec"]["containers"]
    assert app["env"] == [{"name": "PORT", "value": "80"}]
    assert proxy["env"] == [{"name": "DB_USER", "value": "plain"}]
    assert found.messages == []
    assert "# from 1Password" in found.text


def test_a_list_without_variables_is_gone() -> None:
    """If all variables are migrated, the key with the list is removed too."""
    found = migrate(POD.replace('            - name: PORT\n              value: "80"\n', ""))
    assert "env" not in found.pod()["spec"]["containers"][0]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("command: [serve]", "args: [a]", "container app: it needs a command to get variables"),
        ('inject: "app"', 'inject: "app,other"', "the pod has no container 'other'"),
        ("op://shop/database/login/user name", "op://shop", "'op://shop' is not a reference to a field"),
        ("value: plain", "value: op://a/b/c", "DB_USER: 1Password does not inject into container proxy"),
        ("op://shop/database/login/user name", "none", "no variable of these containers has a value that begins with"),
        ("io/version", "io/other", "operator.1password.io/other: no counterpart"),
    ],
)
def test_what_is_left_is_named(old: str, new: str, message: str) -> None:
    """Everything that the user has to do is named."""
    assert any(message in item for item in migrate(POD.replace(old, new)).messages)


def test_a_value_that_differs_stays() -> None:
    """A pod has one value of a variable; the second one stays where it is, and is named."""
    text = POD.replace('"app"', '"app,proxy"').replace("value: plain", "value: op://shop/other/user")
    found = migrate(text)
    assert found.pod()["spec"]["containers"][1]["env"] == [{"name": "DB_USER", "value": "op://shop/other/user"}]
    assert any("container app has another value" in item for item in found.messages)


def test_an_annotation_without_a_pod_stays() -> None:
    """In the values of a chart, the variables are not known, so that the annotation stays."""
    text = "podAnnotations:\n  operator.1password.io/inject: app\n"
    found = migrate(text)
    assert (found.text, len(found.messages)) == (text, 1)


OPERATOR = """\
kind: Deployment
metadata:
  name: shop
  annotations:
    operator.1password.io/item-path: vaults/shop/items/database
    operator.1password.io/item-name: db
    other: kept
spec:
  template:
    spec:
      containers: [{name: app, envFrom: [{secretRef: {name: db}}]}]
"""
ENTRY = {
    "record": "database",
    "path": "/keeper/secrets/db.json",
    "injectAsK8sSecret": True,
    "k8sSecretName": "db",
    "k8sSecretRotation": True,
}


def test_annotations_of_the_operator_are_migrated() -> None:
    """They are on the workload; those of Keeper Injector are on the pod template."""
    found = migrate(OPERATOR)
    assert found.documents[0]["metadata"]["annotations"] == {"other": "kept"}
    assert (found.annotations(), found.entries()) == ({"inject": "true"}, [ENTRY])
    assert len(found.messages) == 1


ITEM = "---\nkind: OnePasswordItem\nmetadata: {name: db}\nspec: {itemPath: vaults/shop/items/database}\n"


def test_an_item_is_migrated() -> None:
    """The workload that uses its Secret gets it; without one, a document is added."""
    workload = OPERATOR.replace("operator.1password.io/item-", "a/")
    assert migrate(workload + ITEM).entries() == [ENTRY]
    alone = migrate(ITEM.removeprefix("---\n"))
    assert alone.documents[1]["kind"] == "PodTemplate"


def test_an_item_without_a_path_is_named() -> None:
    """An item that cannot be read creates nothing."""
    found = migrate(ITEM.removeprefix("---\n").replace("vaults/shop", "shop"))
    assert (len(found.documents), "names no item" in found.messages[0]) == (1, True)
