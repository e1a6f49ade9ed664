"""Secrets in real pods: what an application reads, as whom, and how it changes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pods import Keeper, Namespace, Pod, container, pod, wait_for

DATABASE = {"secret": "database-credentials"}
KILL = """
import os, pathlib
for process in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
    if process.read_bytes().split(b"\\0")[1:3] == [b"-I", b"-S"]:
        os.kill(int(process.parent.name), 9)
"""
"""Kills the process that stays, which is known by its options."""
PATH = "/keeper/secrets/database-credentials.json"
AS_1000 = {"security": {"runAsUser": 1000}}


def test_two_annotations_are_enough(space: Namespace) -> None:
    """The file is there at the default path, on a memory volume, the application's own, and nowhere else in the cluster."""
    app = space.pod("web", DATABASE, containers=[container(**AS_1000)]).ready()
    assert json.loads(app.read(PATH))["password"] == "correct-horse-battery"
    assert app.run("stat", "--format=%u %a", "--dereference", PATH).split() == ["1000", "400"]
    assert "tmpfs" in app.run("sh", "-c", "grep /keeper/secrets /proc/mounts")
    secrets = [item["metadata"]["name"] for item in space.get("secrets")["items"]]
    assert secrets == ["keeper-credentials"]
    assert "correct-horse-battery" not in json.dumps(app.object)


def test_rotation_without_a_restart(space: Namespace, injector: Keeper) -> None:
    """Same pod, same container, same process; the new value within the interval."""
    app = space.pod("web", {"secret": "api-keys", "refresh-interval": "10s"}, containers=[container(**AS_1000)]).ready()
    before = (app.object["metadata"]["uid"], app.status("app")["containerID"])
    injector.set("api-keys", "login", "rotated")
    wait_for(lambda: json.loads(app.read("/keeper/secrets/api-keys.json"))["login"] == "rotated", "the new value", 30)
    assert (app.object["metadata"]["uid"], app.status("app")["containerID"]) == before
    assert app.status("app")["restartCount"] == 0


@pytest.mark.parametrize(
    ("spec", "security", "owner_and_mode"),
    [
        ({}, {"runAsUser": 1000}, ["1000", "400"]),
        ({"securityContext": {"fsGroup": 2000}}, {}, ["65532", "440"]),
        ({"securityContext": {"fsGroup": 1000650000}}, {"runAsUser": 1000650000}, ["1000650000", "400"]),
        ({}, {}, ["65532", "444"]),
    ],
    ids=["a number of its own", "a group for its volumes", "a number of OpenShift's", "the image's user"],
)
def test_every_user_reads_its_files(
    space: Namespace, spec: dict[str, Any], security: dict[str, Any], owner_and_mode: list[str]
) -> None:
    """Owner and mode follow what the pod says; a container that is not named does not even have the volume."""
    containers = [container(security=security), container("other", security=security)]
    app = space.pod("web", {**DATABASE, "containers": "app"}, containers=containers, **spec).ready()
    assert json.loads(app.read(PATH))["login"] == "app"
    assert app.run("stat", "--format=%u %a", "--dereference", PATH).split() == owner_and_mode
    assert app.run("ls", "/keeper", container="other", check=False).startswith("ls: cannot access")


def test_a_job_completes(space: Namespace) -> None:
    """The sidecar goes when the job is done; init containers of its own have the secrets too."""
    migration = container("migrate", f"grep -q correct-horse {PATH}", **AS_1000)
    work = container(script=f"cat {PATH}", **AS_1000)
    spec = pod("job", DATABASE, containers=[work], initContainers=[migration], restartPolicy="Never")
    template = {"metadata": spec["metadata"], "spec": spec["spec"]}
    del template["metadata"]["name"]
    space.apply({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job"}, "spec": {"template": template}})
    space.kubectl("wait", "--for=condition=complete", "job/job", "--timeout=90s")
    assert "correct-horse-battery" in space.kubectl("logs", "job/job", "--container=app")


def test_a_sidecar_that_is_killed_takes_up_where_it_was(space: Namespace, injector: Keeper) -> None:
    """No file is lost, no application restarted, and Keeper is not asked again at once."""
    app = space.pod("web", DATABASE, containers=[container(**AS_1000)], shareProcessNamespace=True).ready()
    asked = injector.requests
    app.run("python3", "-c", KILL)
    wait_for(lambda: app.status("keeper-injector-sidecar").get("restartCount") == 1, "a new sidecar")
    app.ready()
    assert json.loads(app.read(PATH))["login"] == "app"
    assert injector.requests == asked
    assert app.status("app")["restartCount"] == 0


def test_keeper_is_down(space: Namespace, injector: Keeper) -> None:
    """At the start a pod waits and says why, or starts without if it may; one that runs stays as it is."""
    running = space.pod("running", {**DATABASE, "refresh-interval": "10s"}, containers=[container(**AS_1000)]).ready()
    with injector.failing("revoked"):
        strict = space.pod("strict", DATABASE, containers=[container(**AS_1000)])
        lenient = space.pod("lenient", {**DATABASE, "fail-on-error": "false", "refresh-interval": "10s"})
        lenient.ready()
        said = wait_for(lambda: termination(strict), "the init container's last words")
        assert "Keeper: access denied" in said
        assert "Keeper: access denied" in space.kubectl("describe", "pod/strict")
        wait_for(lambda: "refresh.failed" in running.log("keeper-injector-sidecar"), "a refresh that fails")
        assert running.is_ready()
        assert json.loads(running.read(PATH))["login"] == "app"
    wait_for(lambda: lenient.run("cat", PATH, check=False).startswith("{"), "the secret after the outage")


def termination(app: Pod) -> str:
    """Return the termination message of the agent's init container."""
    state = app.status("keeper-injector-init")
    ended = state.get("state", {}).get("terminated") or state.get("lastState", {}).get("terminated") or {}
    return str(ended.get("message", ""))


def test_denials_are_shown_as_they_are_meant(space: Namespace) -> None:
    """Every problem at once, each with what would be right; a warning for what is only odd."""
    wrong = {"refresh-interval": "5x", "secret": "db", "containers": "nobody"}
    said = space.refused(pod("wrong", wrong))
    assert "'5x' is not a duration; write 30s, 5m or 1h" in said
    assert space.apply(pod("odd", {**DATABASE, "refresh-intervall": "5m"})).strip() == "pod/odd created"


def test_plain_pods_are_not_our_business(space: Namespace) -> None:
    """A pod without the annotation is left as it is."""
    plain = space.pod("plain", {}, containers=[container(**AS_1000)]).ready()
    assert [item["name"] for item in plain.object["spec"]["containers"]] == ["app"]
    assert "initContainers" not in plain.object["spec"]
