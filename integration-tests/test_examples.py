"""The chart's examples do on a real cluster what they say."""

from __future__ import annotations

from examples import EXAMPLES, baseline, documents, example
from keeper import Keeper
from pods import Namespace, Pod, wait_for

ELSEWHERE = {"aws", "gcp", "azure", "nginx-tls", "java-keystore", "postgresql"}
"""Examples that are tested in test_applications.py and test_clouds.py."""
FILES = {
    "basic": {"/keeper/secrets/database-credentials.json": "correct-horse-battery"},
    "custom-path": {"/app/config/db.json": "correct-horse-battery"},
    "several-secrets": {"/keeper/secrets/api-keys.json": "sk-test-4711"},
    "files": {"/app/tls/server.pem": "made-up certificate"},
    "folders": {"/app/db/mysql.json": "mysql-of-production"},
    "formats": {
        "/app/db.env": "PASSWORD=twenty-two-characters",
        "/app/db.yaml": "password: twenty-two-characters",
        "/app/db.conf": "password=twenty-two-characters",
    },
    "templates": {"/app/dsn": "postgres://app:correct-horse-battery@db.example.com/app"},
    "config": {"/app/config/db.env": "LOGIN=app", "/app/databases/redis.json": "redis-of-production"},
    "notation": {"/app/mysql": "mysql-of-production", "/app/url": "https://api2.example.com"},
    "init-containers": {"/keeper/secrets/database-credentials.json": "correct-horse-battery"},
    "kubernetes-secret": {"/keeper/secrets/database-credentials.json": "correct-horse-battery"},
}
LOGS = {"env": "app", "distroless": "correct-horse-battery|app|65532"}
OWN = {"restricted", "rotation-with-signal", "job", "cron-job", "per-container", "argo-cd", *ELSEWHERE}
"""Examples that are tested one by one."""


def test_every_example(space: Namespace) -> None:
    """All examples are applied at once; each does what its first lines say."""
    space.kubectl("label", f"namespace/{space.name}", "pod-security.kubernetes.io/enforce=privileged", "--overwrite")
    paths = {path.stem.partition("-")[2]: path for path in sorted(EXAMPLES.glob("*.yaml"))}
    for name in ("argo-cd", "restricted", "rotation-with-signal", *ELSEWHERE):
        del paths[name]
    for path in paths.values():
        space.apply(*documents(path))
    space.kubectl("create", "job", "nightly", "--from=cronjob/cron-job")
    for name, files in FILES.items():
        app = pod_of(space, name).ready()
        for file, content in files.items():
            assert content in app.read(file), f"{name}: {file}"
    for name, line in LOGS.items():
        app = pod_of(space, name).ready()
        wait_for(lambda app=app, line=line: line in app.log(), f"the log of {name}")
    both = Pod(space, "per-container").ready()
    assert "sk-test-4711" in both.read("/app/secret.json", "worker")
    assert "sk-test-4711" not in both.read("/app/secret.json", "web")
    for job in ("job", "nightly"):
        space.kubectl("wait", "--for=condition=complete", f"job/{job}", "--timeout=150s")
    assert space.get("secret/app-db")["metadata"]["ownerReferences"][0]["name"] == "kubernetes-secret"


def pod_of(space: Namespace, name: str) -> Pod:
    """Return the pod of an example, by name or by Deployment."""
    found = wait_for(
        lambda: [
            item["metadata"]["name"]
            for item in space.get("pods")["items"]
            if item["metadata"]["name"] == name or item["metadata"].get("labels", {}).get("app") == name
        ],
        f"the pod of {name}",
    )
    return Pod(space, found[0])


def test_the_example_of_a_restricted_namespace(space: Namespace) -> None:
    """A namespace that enforces Pod Security `restricted` admits the example unchanged."""
    space.apply(*example("restricted"))
    app = Pod(space, "restricted").ready()
    assert "correct-horse-battery" in app.read("/keeper/secrets/database-credentials.json")


def test_the_example_of_a_signal(space: Namespace, keeper: Keeper) -> None:
    """The application prints what it reads after the signal."""
    baseline(space)
    space.apply(*example("rotation-with-signal"))
    app = Pod(space, "rotation-with-signal").ready()
    keeper.set("two-factor", "login", "signalled")
    wait_for(lambda: "signalled" in app.log(), "what it reads after the signal")


def test_no_example_is_forgotten() -> None:
    """Every example is tested above, and every tested example exists."""
    assert {path.stem.partition("-")[2] for path in EXAMPLES.glob("*.yaml")} == {*FILES, *LOGS, *OWN}
