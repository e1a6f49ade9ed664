"""Where the agent and its volumes are in a pod: after a native proxy, before a classic one, and below other volumes."""

from __future__ import annotations

import json
from typing import Any

from pods import Namespace, container

AS_1000: dict[str, Any] = {"security": {"runAsUser": 1000}}
DATABASE = {"secret": "database-credentials"}
PATH = "/keeper/secrets/database-credentials.json"


def test_a_secret_below_volumes_of_the_pod(space: Namespace) -> None:
    """Kubernetes mounts our volume below an emptyDir and below a read-only ConfigMap, whose own files stay."""
    space.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "app"}, "data": {"own": "of the pod"}})
    mounts = [
        {"name": "config", "mountPath": "/config", "readOnly": True},
        {"name": "data", "mountPath": "/data"},
    ]
    secrets = {
        "secret-a": "database-credentials[password]:/config/secrets/password",
        "secret-b": "database-credentials[password]:/data/deep/secrets/password",
    }
    volumes: list[dict[str, Any]] = [{"name": "config", "configMap": {"name": "app"}}, {"name": "data", "emptyDir": {}}]
    app = space.pod("web", secrets, containers=[container(volumeMounts=mounts, **AS_1000)], volumes=volumes).ready()
    assert app.read("/config/own") == "of the pod"
    assert app.read("/config/secrets/password") == "correct-horse-battery"
    assert app.read("/data/deep/secrets/password") == "correct-horse-battery"


def test_an_init_container_before_the_agent(space: Namespace) -> None:
    """With `init-first: false`, the pod's own init container runs first, with its own command, and the pod starts."""
    prepare = container("prepare", "test ! -e /keeper/env", **AS_1000)
    secrets = {"env-DB_PASSWORD": "database-credentials[password]", "init-first": "false"}
    app = container("app", 'test -n "$DB_PASSWORD" && exec sleep 3600', **AS_1000)
    space.pod("web", secrets, initContainers=[prepare], containers=[app]).ready()


def test_a_native_proxy(space: Namespace) -> None:
    """The agent starts after a native sidecar with the name of a proxy, which receives nothing."""
    proxy = {**container("istio-proxy", **AS_1000), "restartPolicy": "Always"}
    app = space.pod("web", DATABASE, initContainers=[proxy], containers=[container(**AS_1000)]).ready()
    order = [item["name"] for item in app.object["spec"]["initContainers"]]
    assert order == ["istio-proxy", "keeper-injector-init", "keeper-injector-sidecar"]
    assert json.loads(app.read(PATH))["password"] == "correct-horse-battery"
    assert "keeper-secrets" not in json.dumps(app.object["spec"]["initContainers"][0])


def test_a_classic_proxy(space: Namespace) -> None:
    """The agent fetches before the init container that redirects the network, and the proxy among the containers receives nothing."""
    redirect = container("istio-init", "true", **AS_1000)
    containers = [container("istio-proxy", security={"runAsUser": 1337}), container(**AS_1000)]
    app = space.pod("web", DATABASE, initContainers=[redirect], containers=containers).ready()
    order = [item["name"] for item in app.object["spec"]["initContainers"]]
    assert order == ["keeper-injector-init", "keeper-injector-sidecar", "istio-init"]
    assert "keeper-secrets" not in json.dumps(app.object["spec"]["containers"][0])
    assert app.run("stat", "--format=%u %a", "--dereference", PATH).split() == ["1000", "400"]


def test_a_signal_beside_an_init_container_of_another_user(space: Namespace) -> None:
    """If only an init container runs as another user, the agent runs as the application's, and both read their files."""
    prepare = container("prepare", f"cat {PATH}", security={"runAsUser": 1001})
    secrets = {**DATABASE, "signal": "SIGHUP"}
    app = space.pod("web", secrets, initContainers=[prepare], containers=[container(**AS_1000)]).ready()
    agent = next(item for item in app.object["spec"]["initContainers"] if item["name"] == "keeper-injector-sidecar")
    assert agent["securityContext"]["runAsUser"] == 1000
