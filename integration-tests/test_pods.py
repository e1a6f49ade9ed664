"""Secrets in real pods: content, owner, mode and rotation."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from keeper import Keeper
from pods import FIGURES, PREFIX, Namespace, container, pod, wait_for

DATABASE = {"secret": "database-credentials"}
PATH = "/keeper/secrets/database-credentials.json"
AS_1000 = {"security": {"runAsUser": 1000}}


def test_two_annotations_are_enough(space: Namespace) -> None:
    """The file is at the default path, on a memory volume, owned by the application's user, and nowhere else in the cluster."""
    app = space.pod("web", DATABASE, containers=[container(**AS_1000)]).ready()
    asked = {key for key in app.object["metadata"]["annotations"] if key.startswith(PREFIX)}
    assert asked == {f"{PREFIX}{name}" for name in ("inject", "secret", "injected", "plan")}
    assert json.loads(app.read(PATH))["password"] == "correct-horse-battery"
    assert app.run("stat", "--format=%u %a", "--dereference", PATH).split() == ["1000", "400"]
    assert "tmpfs" in app.run("sh", "-c", "grep /keeper/secrets /proc/mounts")
    secrets = [item["metadata"]["name"] for item in space.get("secrets")["items"]]
    assert secrets == ["keeper-credentials"]
    assert "correct-horse-battery" not in json.dumps(app.object)


def test_rotation_without_a_restart(space: Namespace, keeper: Keeper) -> None:
    """A changed value arrives within the interval, in the same pod, container and process."""
    app = space.pod("web", {"secret": "api-keys", "refresh-interval": "10s"}, containers=[container(**AS_1000)]).ready()

    def identity() -> tuple[str, str, str]:
        # Field 22 of /proc/PID/stat is the start time of the process.
        started = app.run("cat", "/proc/1/stat").split()[21]
        return app.object["metadata"]["uid"], app.status("app")["containerID"], started

    before, since = identity(), time.monotonic()
    keeper.set("api-keys", "login", "rotated")
    wait_for(lambda: json.loads(app.read("/keeper/secrets/api-keys.json"))["login"] == "rotated", "the new value")
    FIGURES.append(f"a new value reached the file after {time.monotonic() - since:.1f} s, with refresh-interval: 10s")
    assert identity() == before
    assert app.status("app")["restartCount"] == 0


@pytest.mark.parametrize(
    ("spec", "security", "owner_and_mode"),
    [
        ({}, {"runAsUser": 1000}, ["1000", "400"]),
        ({"securityContext": {"fsGroup": 2000}}, {}, ["65532", "440"]),
        ({"securityContext": {"fsGroup": 1000650000}}, {"runAsUser": 1000650000}, ["1000650000", "400"]),
        ({}, {}, ["65532", "444"]),
    ],
    ids=["its own number", "a group for its volumes", "a number of OpenShift's", "the image's user"],
)
def test_every_user_reads_its_files(
    space: Namespace, spec: dict[str, Any], security: dict[str, Any], owner_and_mode: list[str]
) -> None:
    """Owner and mode follow the pod's security context; a container that is not listed does not have the volume."""
    containers = [container(security=security), container("other", security=security)]
    app = space.pod("web", {**DATABASE, "containers": "app"}, containers=containers, **spec).ready()
    assert json.loads(app.read(PATH))["login"] == "app"
    assert app.run("stat", "--format=%u %a", "--dereference", PATH).split() == owner_and_mode
    assert app.run("ls", "/keeper", container="other", check=False).startswith("ls: cannot access")


def test_a_job_completes(space: Namespace) -> None:
    """The sidecar ends when the job is done; the job's own init containers have the secrets too."""
    migration = container("migrate", f"grep -q correct-horse {PATH}", **AS_1000)
    work = container(script=f"cat {PATH}", **AS_1000)
    spec = pod("job", DATABASE, containers=[work], initContainers=[migration], restartPolicy="Never")
    template = {"metadata": spec["metadata"], "spec": spec["spec"]}
    del template["metadata"]["name"]
    space.apply({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job"}, "spec": {"template": template}})
    space.kubectl("wait", "--for=condition=complete", "job/job", "--timeout=150s")
    assert "correct-horse-battery" in space.kubectl("logs", "job/job", "--container=app")


def test_a_sidecar_that_is_killed_takes_up_where_it_was(space: Namespace, keeper: Keeper) -> None:
    """After the sidecar is killed, no file is lost, the application is not restarted, and no request is repeated at once."""
    secrets = {**DATABASE, "refresh-interval": "24h"}
    app = space.pod("web", secrets, containers=[container(**AS_1000)], shareProcessNamespace=True).ready()
    asked = keeper.requests
    app.of_supervisor("os.kill(int(process.name), 9)")
    wait_for(lambda: app.status("keeper-injector-sidecar").get("restartCount") == 1, "a new sidecar")
    app.ready()
    first = json.loads(wait_for(lambda: app.log("keeper-injector-sidecar"), "its first words").splitlines()[0])
    assert first["event"] == "sidecar.started"
    assert first["wait_seconds"] > 0
    assert json.loads(app.read(PATH))["login"] == "app"
    assert keeper.requests == asked
    assert app.status("app")["restartCount"] == 0


def test_a_healthy_start_has_no_failed_probe(space: Namespace, keeper: Keeper) -> None:
    """The startup probe waits for the sidecar, so the kubelet reports nothing; ``kubectl exec`` then refreshes at once."""
    app = space.pod("web", {**DATABASE, "refresh-interval": "24h"}, containers=[container(**AS_1000)]).ready()
    failed = f"--field-selector=reason=Unhealthy,involvedObject.name={app.name}"
    assert space.kubectl("get", "events", "--output=name", failed) == ""
    keeper.set("database-credentials", "login", "rotated")
    try:
        shown = app.run("keeper-injector-agent", "refresh", container="keeper-injector-sidecar")
        assert shown.startswith("ok: everything is up to date")
        assert json.loads(app.read(PATH))["login"] == "rotated"
    finally:
        keeper.set("database-credentials", "login", "app")


def test_denials_are_shown_as_they_are_meant(space: Namespace) -> None:
    """A denial has all problems with their solutions; something that is only unusual gives a warning."""
    wrong = {"refresh-interval": "5x", "secret": "db", "file-mode": "9"}
    said = space.refused(pod("wrong", wrong))
    assert "(1) keeper.security/file-mode: '9' is not a file mode; write three octal digits such as 0440" in said
    assert "(2) keeper.security/refresh-interval: '5x' is not a duration; write 30s, 5m or 1h30m" in said
    said = space.refused(pod("nobody", {**DATABASE, "containers": "nobody"}))
    assert "keeper.security/containers: the pod has no container 'nobody'; it has app" in said
    said = space.apply(pod("odd", {**DATABASE, "refresh-intervall": "5m"}), check=False)
    assert "Warning: keeper.security/refresh-intervall: unknown annotation, ignored; did you mean" in said
    assert "pod/odd created" in said


def test_plain_pods_are_not_our_business(space: Namespace) -> None:
    """A pod without the annotation is not changed."""
    plain = space.pod("plain", {}, containers=[container(**AS_1000)]).ready()
    assert [item["name"] for item in plain.object["spec"]["containers"]] == ["app"]
    assert "initContainers" not in plain.object["spec"]
