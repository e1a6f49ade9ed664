"""Values of the chart that change pods: variables by the kubelet, Kubernetes Secrets."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from features import has, needs
from pods import Namespace, container, image, wait_for
from releases import Release, own_release

AS_1000 = {"security": {"runAsUser": 1000}}


def values() -> tuple[str, ...]:
    """Return the values of the release; the chart refuses `envFiles=always` for an API server that would drop the variables."""
    return ("replicas=1", "envFiles=always") if has("EnvFiles") else ("replicas=1",)


@pytest.fixture(name="webhook", scope="module")
def _webhook(images: Any) -> Iterator[Release]:
    """A release with different values from the one that tests share."""
    assert images.namespace
    with own_release("settings", *values()) as release:
        yield release


@needs("EnvFiles")
def test_variables_by_the_kubelet(space: Namespace) -> None:
    """If all nodes support EnvFiles, a container that does not set its command gets its variables too."""
    app = container(image=image("applications"), env=[{"name": "OWN", "value": "mine"}], **AS_1000)
    del app["command"]
    secrets = {"env-DB_PASSWORD": "database-credentials[password]", "env-OWN": "database-credentials[login]"}
    made = space.pod("web", secrets, containers=[app]).ready()
    assert made.run("sh", "-c", 'echo "$DB_PASSWORD $OWN"').split() == ["correct-horse-battery", "mine"]
    (entry,) = [item for item in made.object["spec"]["containers"][0]["env"] if item["name"] == "DB_PASSWORD"]
    assert set(entry["valueFrom"]) == {"fileKeyRef"}
    assert "correct-horse-battery" not in json.dumps(made.object)


@needs("EnvFiles")
def test_variables_of_the_kubelet_expand(space: Namespace) -> None:
    """`$(NAME)` of a variable that the kubelet reads expands in arguments and in the container's own variables."""
    own = [{"name": "URL", "value": "postgres://app:$(DB_PASSWORD)@db"}]
    script = 'test "$1" = "$DB_PASSWORD" && exec sleep 3600'
    app = container(command=["sh", "-c", script, "sh", "$(DB_PASSWORD)"], env=own, **AS_1000)
    made = space.pod("web", {"env-DB_PASSWORD": "database-credentials[password]"}, containers=[app]).ready()
    assert made.run("sh", "-c", 'echo "$URL"').strip() == "postgres://app:correct-horse-battery@db"


def test_a_kubernetes_secret(space: Namespace, webhook: Release) -> None:
    """The agent writes the Secret with the pod's service account, which the chart's Role allows; it is deleted with the pod."""
    accounts = "kubernetesSecrets.serviceAccounts={default}"
    mine = (f"kubernetesSecrets.namespaces={{{space.name}}}", accounts, "kubernetesSecrets.secretNames={app-db}")
    webhook.install(*values(), *mine)
    secrets = {"secret": "database-credentials", "inject-as-k8s-secret": "true", "k8s-secret-name": "app-db"}
    app = space.pod("web", secrets, containers=[container(**AS_1000)]).ready()
    secret = space.get("secret/app-db")
    assert base64.b64decode(secret["data"]["password"]) == b"correct-horse-battery"
    assert secret["metadata"]["ownerReferences"][0]["uid"] == app.object["metadata"]["uid"]
    other = space.pod("other", {**secrets, "k8s-secret-name": "not-named"}, containers=[container(**AS_1000)])
    wait_for(lambda: "may not write Secrets" in space.kubectl("describe", f"pod/{other.name}"), "a refusal")
    space.kubectl("delete", "pod/web", "--wait")
    wait_for(lambda: "NotFound" in space.kubectl("get", "secret/app-db", check=False), "the Secret's end")
