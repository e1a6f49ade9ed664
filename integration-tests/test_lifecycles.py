"""Pods that end, restart or lose a record: CronJobs, classic sidecars, restarted applications and notifications."""

from __future__ import annotations

import json
from typing import Any

from keeper import Keeper
from pods import Namespace, container, pod, wait_for

AS_1000 = {"security": {"runAsUser": 1000}}
RARELY = {"secret": "api-keys", "refresh-interval": "24h"}
"""For tests that count requests: the first refresh is at a random time within the interval."""
LISTENER = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(204)
        self.end_headers()
        print("told", open("/keeper/secrets/two-factor.json").read(), flush=True)
http.server.HTTPServer(("127.0.0.1", 8080), Handler).serve_forever()
"""


SANDBOX = """
import os, pathlib, sys
for process in pathlib.Path("/proc").glob("[0-9]*"):
    try:
        inside = (process / "cgroup").read_text().replace("_", "-")
        program = (process / "cmdline").read_bytes()
    except OSError:
        continue
    if sys.argv[1] in inside and program.split(b"\\0")[0] in {b"/pause", b"/program"}:
        os.kill(int(process.name), 9)
        print("killed")
"""
"""Kills the process that holds a pod's namespaces, as a restart of a container runtime may: kind's pause or ours."""


def template_of(made: dict[str, Any]) -> dict[str, Any]:
    """Return a pod template."""
    del made["metadata"]["name"]
    return {"metadata": made["metadata"], "spec": made["spec"]}


def test_a_cron_job_completes(space: Namespace) -> None:
    """The Jobs of a CronJob complete: the sidecar ends when the work is done."""
    work = container(script="cat /keeper/secrets/api-keys.json", **AS_1000)
    template = template_of(pod("job", {"secret": "api-keys"}, containers=[work], restartPolicy="Never"))
    spec = {"schedule": "0 3 1 1 *", "jobTemplate": {"spec": {"template": template, "backoffLimit": 0}}}
    space.apply({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly"}, "spec": spec})
    space.kubectl("create", "job", "now", "--from=cronjob/nightly")
    space.kubectl("wait", "--for=condition=complete", "job/now", "--timeout=150s")
    assert "sk-test-4711" in space.kubectl("logs", "job/now", "--container=app")


def test_a_classic_sidecar(space: Namespace, keeper: Keeper) -> None:
    """A classic sidecar is an ordinary container, which takes over the files of the init container."""
    asked = keeper.requests
    app = space.pod("web", {**RARELY, "sidecar": "classic"}, containers=[container(**AS_1000)]).ready()
    assert [item["name"] for item in app.object["spec"]["containers"]] == ["app", "keeper-injector-sidecar"]
    assert json.loads(app.read("/keeper/secrets/api-keys.json"))["password"] == "sk-test-4711"
    assert keeper.requests == asked + 1


def test_an_application_that_is_restarted(space: Namespace, keeper: Keeper) -> None:
    """A restarted container finds its files, without a request to Keeper."""
    script = "trap 'exit 3' TERM; while :; do sleep 0.2; done"
    app = space.pod("web", RARELY, containers=[container(script=script, **AS_1000)]).ready()
    asked = keeper.requests
    app.run("sh", "-c", "kill -TERM 1")
    wait_for(lambda: app.status("app").get("restartCount") == 1, "a new container")
    app.ready()
    assert json.loads(app.read("/keeper/secrets/api-keys.json"))["password"] == "sk-test-4711"
    assert keeper.requests == asked
    assert app.status("keeper-injector-sidecar")["restartCount"] == 0


def test_a_sandbox_that_is_recreated(space: Namespace, keeper: Keeper) -> None:
    """All containers of the pod start again, including the init container, which sends one request; the files were never missing."""
    app = space.pod("web", RARELY, containers=[container(**AS_1000)]).ready()
    uid, asked = app.object["metadata"]["uid"], keeper.requests
    space.kubectl("label", f"namespace/{space.name}", "pod-security.kubernetes.io/enforce=privileged", "--overwrite")
    root = {"privileged": True, "runAsUser": 0, "runAsNonRoot": False, "allowPrivilegeEscalation": None}
    killer = space.pod("killer", {}, containers=[container(security=root)], hostPID=True).ready()
    assert killer.run("python3", "-c", SANDBOX, uid).strip() == "killed"
    wait_for(lambda: app.status("app").get("restartCount") == 1, "new containers")
    app.ready()
    assert app.object["metadata"]["uid"] == uid
    assert json.loads(app.read("/keeper/secrets/api-keys.json"))["password"] == "sk-test-4711"
    assert "secrets.unchanged" in app.log("keeper-injector-init")
    assert keeper.requests == asked + 1


def test_a_post_after_a_rotation(space: Namespace, keeper: Keeper) -> None:
    """The agent notifies the application by HTTP, and the application reads the new value while it answers."""
    listener = container(command=["python3", "-c", LISTENER], **AS_1000)
    secrets = {"secret": "two-factor", "notify-url": "http://127.0.0.1:8080/reload", "refresh-interval": "10s"}
    app = space.pod("web", secrets, containers=[listener]).ready()
    keeper.set("two-factor", "login", "posted")
    # The record's one-time code is a change too, and its notification may come first.
    wait_for(lambda: '"posted"' in app.log(), "the POST")


def test_a_record_that_is_gone(space: Namespace, keeper: Keeper) -> None:
    """The file of a deleted record is kept, or removed if requested; the application stays Ready in both cases."""
    secrets = {"secrets": "deploy-key, api-keys", "refresh-interval": "10s", "fail-on-error": "false"}
    keeping = space.pod("keeping", secrets, containers=[container(**AS_1000)])
    removing = space.pod("removing", {**secrets, "on-removal": "remove"}, containers=[container(**AS_1000)])
    for app in (keeping, removing):
        app.ready()
        assert app.run("ls", "/keeper/secrets").split() == ["api-keys.json", "deploy-key.json"]
    keeper.order("remove", "deploy-key")
    wait_for(lambda: removing.run("ls", "/keeper/secrets").split() == ["api-keys.json"], "the removal")
    wait_for(lambda: "deploy-key" in keeping.log("keeper-injector-sidecar"), "a word about it")
    assert keeping.run("ls", "/keeper/secrets").split() == ["api-keys.json", "deploy-key.json"]
    assert keeping.is_ready()
    assert removing.is_ready()
