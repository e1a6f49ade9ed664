"""`on-change: restart`: applications that read only at start, under traffic, without a failed request."""

from __future__ import annotations

import json
from typing import Any

from keeper import Keeper
from pods import FIGURES, Json, Namespace, Pod, container, wait_for

SERVER = """
import http.server, os, pathlib, signal, threading
value = f"{os.environ['PASSWORD']} {pathlib.Path('/app/secrets/password').read_text()}".encode()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        leaving = self.path == "/ready" and os.path.exists("/tmp/stopping")
        self.send_response({True: 503, False: 200}[leaving]); self.send_header("Content-Length", str(len(value))); self.end_headers(); self.wfile.write(value)
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("", 8000), Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
"""
CLIENT = """
import sys, time, urllib.request
until, failed, answers = time.monotonic() + float(sys.argv[2]), 0, {}
while time.monotonic() < until:
    try:
        answer = urllib.request.urlopen(f"http://{sys.argv[1]}:8000/", timeout=5).read().decode()
        answers[answer] = answers.get(answer, 0) + 1
    except OSError as error:
        failed += 1
        print(error, file=sys.stderr)
    time.sleep(0.02)
import json
print(json.dumps({"failed": failed, "answers": answers}))
"""


def deployment(replicas: int) -> Json:
    """Return a Deployment whose pods read a file and a variable at start, and leave the Service before they stop."""
    stop = {"exec": {"command": ["sh", "-c", "touch /tmp/stopping; sleep 5"]}}
    app = container(
        command=["python3", "-c", SERVER],
        security={"runAsUser": 1000},
        lifecycle={"preStop": stop},
        readinessProbe={
            "httpGet": {"path": "/ready", "port": 8000},
            "periodSeconds": 1,
            "failureThreshold": 1,
            "timeoutSeconds": 5,
        },
    )
    annotations = {
        "inject": "true",
        "secret-password": "database-credentials[password]:/app/secrets/password",
        "env-PASSWORD": "database-credentials[password]",
        "containers": "app",
        "on-change": "restart",
        "restart-spread": "90s",
        "restart-min-interval": "10s",
        "refresh-interval": "10s",
    }
    beside = container("beside", security={"runAsUser": 1000})
    template = {
        "metadata": {
            "labels": {"app": "shop"},
            "annotations": {f"keeper.security/{name}": value for name, value in annotations.items()},
        },
        "spec": {"containers": [app, beside], "terminationGracePeriodSeconds": 30},
    }
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "shop"}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop"}, "spec": spec}


def pods_of(space: Namespace) -> list[dict[str, Any]]:
    """Return the pods of the Deployment."""
    found: list[dict[str, Any]] = json.loads(space.kubectl("get", "pods", "--selector=app=shop", "--output=json"))[
        "items"
    ]
    return found


def restarts(space: Namespace, name: str) -> list[int]:
    """Return how often a container of each pod has restarted."""
    return [
        status["restartCount"]
        for pod in pods_of(space)
        for status in pod["status"]["containerStatuses"]
        if status["name"] == name
    ]


def test_five_replicas_restart_under_traffic(space: Namespace, keeper: Keeper) -> None:
    """Each container that receives the secret restarts once, with the new file and variable; no request fails, and no other
    container restarts."""
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "shop"},
        "spec": {"selector": {"app": "shop"}, "ports": [{"port": 8000}]},
    }
    space.apply(service, deployment(5))
    space.kubectl("rollout", "status", "deployment/shop", "--timeout=180s")
    address = space.get("service/shop")["spec"]["clusterIP"]
    keeper.set("database-credentials", "password", "rotated")
    try:
        # 90 seconds of spread, three probes, and the time until the slowest has restarted.
        command = ("python3", "-c", CLIENT, address, "200")
        said = json.loads(keeper.namespace.kubectl("exec", "deployment/local-keeper", "--", *command))
        wait_for(lambda: restarts(space, "app") == [1] * 5, "a restart of each replica")
    finally:
        keeper.set("database-credentials", "password", "correct-horse-battery")
    assert said["failed"] == 0, said
    assert set(said["answers"]) <= {
        *("correct-horse-battery correct-horse-battery", "correct-horse-battery rotated", "rotated rotated")
    }
    assert restarts(space, "beside") == [0] * 5
    assert restarts(space, "app") == [1] * 5
    FIGURES.append(
        f"on-change: restart of 5 replicas under traffic: {sum(said['answers'].values())} requests, 0 failed"
    )
    uids = {pod["metadata"]["uid"] for pod in pods_of(space)}
    assert len(uids) == 5


def test_without_a_sidecar_nothing_restarts(space: Namespace, keeper: Keeper) -> None:
    """The probe succeeds while the file that it reads is missing or old."""
    wanted = {
        "secret": "api-keys",
        "on-change": "restart",
        "restart-spread": "10s",
        "restart-min-interval": "10s",
        "sidecar": "classic",
    }
    app: Pod = space.pod("web", wanted, containers=[container(security={"runAsUser": 1000})]).ready()
    probe = app.object["spec"]["containers"][0]["livenessProbe"]["exec"]["command"]
    assert app.run(*probe) == ""
    assert app.status("app")["restartCount"] == 0
