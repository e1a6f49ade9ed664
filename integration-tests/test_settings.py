"""Values of the chart that change pods: variables by the kubelet, Kubernetes Secrets."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from features import has, needs
from keeper import Keeper
from pods import FIGURES, PREFIX, Namespace, container, image, pod, wait_for
from releases import Release, own_release

AS_1000 = {"security": {"runAsUser": 1000}}


def values() -> tuple[str, ...]:
    """Return the values of the release; the chart refuses what the API server would drop."""
    known = {"EnvFiles": "envFiles=always", "RestartAllContainers": "restartAllContainers=true"}
    return ("replicas=1", *(value for name, value in known.items() if has(name)))


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


RESTARTS = {"on-change": "restart-all", "restart-spread": "10s", "restart-min-interval": "10s"}
COUNTING = "cat /app/secrets/password >> /data/starts; echo >> /data/starts; exec sleep 3600"


@needs("RestartAllContainers")
def test_all_containers_restart_once_after_a_change(space: Namespace, keeper: Keeper) -> None:
    """Init containers run again too, files and variables are new, the pod keeps its UID and volumes, and nothing restarts a second time."""
    own = {"volumeMounts": [{"name": "data", "mountPath": "/data"}], **AS_1000}
    wanted = {
        **RESTARTS,
        "secret-password": "database-credentials[password]:/app/secrets/password",
        "env-PASSWORD": "database-credentials[password]",
        "refresh-interval": "10s",
    }
    setup = container("setup", COUNTING.rpartition(";")[0], **own)
    app = container(script=f'echo "$PASSWORD" >> /data/variables; {COUNTING}', **own)
    beside = container("beside", security={"runAsUser": 1000})
    spec = {"initContainers": [setup], "volumes": [{"name": "data", "emptyDir": {}}]}
    made = space.pod("web", wanted, containers=[app, beside], **spec, securityContext={"fsGroup": 1000}).ready()
    names = ("setup", "keeper-injector-init", "keeper-injector-sidecar", "app", "beside")
    assert [made.status(name)["restartCount"] for name in names] == [0] * len(names)
    before = made.object
    keeper.set("database-credentials", "password", "rotated")
    try:
        wait_for(lambda: all(made.status(name)["restartCount"] == 1 for name in names), "a restart of all containers")
        made.ready()
        starts = made.read("/data/starts").split()
        assert starts == ["correct-horse-battery"] * 2 + ["rotated"] * 2
        assert made.read("/data/variables").split() == ["correct-horse-battery", "rotated"]
        after = made.object
        assert after["metadata"]["uid"] == before["metadata"]["uid"]
        assert after["status"]["podIP"] == before["status"]["podIP"]
        # The next refreshes find nothing new.
        made.run("keeper-injector-agent", "refresh", container="keeper-injector-sidecar")
        log = made.log("keeper-injector-sidecar")
        assert "secrets.unchanged" in log
        assert "restart_all" not in log
        assert [made.status(name)["restartCount"] for name in names] == [1] * len(names)
    finally:
        keeper.set("database-credentials", "password", "correct-horse-battery")


@needs("RestartAllContainers")
def test_all_containers_restart_while_keeper_is_down(space: Namespace, keeper: Keeper) -> None:
    """Init makes one attempt and keeps the files that are there, so the application is back within seconds."""
    made = space.pod("web", {"secret": "database-credentials", **RESTARTS}, containers=[container(**AS_1000)]).ready()
    with keeper.failing("status", "503"):
        # As after a delivered change: the supervisor finds the file when it next waits. Its end kills this command, too.
        due = "import pathlib, os, signal; pathlib.Path('/keeper/state/restart').write_text('1'); os.kill(1, signal.SIGHUP)"
        made.run("python3", "-c", due, container="keeper-injector-sidecar", check=False)
        started = time.monotonic()
        wait_for(lambda: made.status("app")["restartCount"] == 1 and made.is_ready(), "a restart of all containers")
        seconds = time.monotonic() - started
    FIGURES.append(f"on-change: restart-all while Keeper is down: ready again after {seconds:.0f} s")
    assert "correct-horse-battery" in made.read("/keeper/secrets/database-credentials.json")
    assert seconds < 60


@needs("RestartAllContainers")
def test_jobs_never_restart_all_containers(space: Namespace) -> None:
    """The API server reports the webhook's reason for each pod of a Job, and for a pod that nothing repeats."""
    annotations = {
        f"{PREFIX}{name}": value for name, value in {"inject": "true", "secret": "api-keys", **RESTARTS}.items()
    }
    spec = {"restartPolicy": "OnFailure", "containers": [container(**AS_1000)]}
    template = {"metadata": {"annotations": annotations}, "spec": spec}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "once"}, "spec": {"template": template}}
    space.apply(job)
    wait_for(lambda: "as pods of Jobs have" in space.kubectl("describe", "job/once"), "a refusal")
    alone = pod("alone", {"secret": "api-keys", **RESTARTS}, containers=[container(**AS_1000)], restartPolicy="Never")
    assert "the pod has restartPolicy: Never" in space.refused(alone)


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
