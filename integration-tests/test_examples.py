"""The chart's examples on a real cluster, with what they promise. Images are stand-ins: the cluster of the tests pulls none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pods import PREFIX, Namespace, Pod, image, wait_for

Json = dict[str, Any]
EXAMPLES = Path(__file__).parents[1] / "charts/keeper-injector/examples"
STAND_INS = {"python:3.13-slim": "agent", "gcr.io/distroless/static-debian12": "distroless"}
ADMITTED_ONLY = ("aws", "gcp", "azure", "nginx-tls")
"""Without a cloud, or nginx, their pods cannot start here; the API server takes them as they are."""
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
    "restricted": {"/keeper/secrets/database-credentials.json": "correct-horse-battery"},
    "kubernetes-secret": {"/keeper/secrets/database-credentials.json": "correct-horse-battery"},
}
LOGS = {"env": "app", "distroless": "correct-horse-battery|app|65532", "rotation-with-signal": ""}


def documents(path: Path) -> list[Json]:
    """Return the objects of an example, made to run here: images that the cluster has, and the CA of local Keeper."""
    found = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    for item in found:
        spec = item.get("spec", {})
        template = (
            spec.get("jobTemplate", {}).get("spec", spec).get("template", item if item["kind"] == "Pod" else None)
        )
        if template is None:
            continue
        template["metadata"]["annotations"][f"{PREFIX}ca-cert-configmap"] = "local-keeper-ca"
        template["spec"]["terminationGracePeriodSeconds"] = 1
        for container in [*template["spec"].get("initContainers", []), *template["spec"]["containers"]]:
            if container["image"] in STAND_INS:
                container.update(image=image(STAND_INS[container["image"]]), imagePullPolicy="Never")
    return found


def test_every_example(space: Namespace) -> None:
    """All are applied at once; each becomes what its first lines say."""
    space.kubectl("label", f"namespace/{space.name}", "pod-security.kubernetes.io/enforce=privileged", "--overwrite")
    paths = {path.stem.partition("-")[2]: path for path in sorted(EXAMPLES.glob("*.yaml"))}
    del paths["argo-cd"]
    for name in ADMITTED_ONLY:
        *others, made = documents(paths.pop(name))
        if others:
            space.apply(*others)
        text = yaml.safe_dump(made)
        assert "created" in space.kubectl("create", "--dry-run=server", "--filename=-", text=text)
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
        space.kubectl("wait", "--for=condition=complete", f"job/{job}", "--timeout=90s")
    assert space.get("secret/app-db")["metadata"]["ownerReferences"][0]["name"] == "kubernetes-secret"


def pod_of(space: Namespace, name: str) -> Pod:
    """Return an example's pod, by its name or as its Deployment has made it."""
    found = wait_for(
        lambda: [
            item["metadata"]["name"]
            for item in space.get("pods")["items"]
            if item["metadata"]["name"] == name or item["metadata"].get("labels", {}).get("app") == name
        ],
        f"the pod of {name}",
    )
    return Pod(space, found[0])


@pytest.mark.parametrize("name", sorted({*FILES, *LOGS, *ADMITTED_ONLY, "job", "cron-job", "per-container", "argo-cd"}))
def test_no_example_is_forgotten(name: str) -> None:
    """What is asked above is there, and what is there is asked above."""
    names = {path.stem.partition("-")[2] for path in EXAMPLES.glob("*.yaml")}
    assert name in names
    assert names == {*FILES, *LOGS, *ADMITTED_ONLY, "job", "cron-job", "per-container", "argo-cd"}
