"""Keeper in all its moods while an application runs: Ready throughout, with the files it had."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta

from keeper import Keeper
from pods import Namespace, Pod, container, wait_for

FAULTS = (("status", "503"), ("cut",), ("corrupt",), ("revoked",), ("hang",), ("throttled",))
PATH = "/keeper/secrets/database-credentials.json"
NOW = "os.kill(int(process.name), signal.SIGHUP)"
"""Lets the sidecar refresh at once, whatever wait it has learned."""


def test_no_fault_reaches_an_application(space: Namespace, keeper: Keeper) -> None:
    """Every fault fails a refresh, which is said; the application stays Ready with its files, and then all recovers."""
    secrets = {"secret": "database-credentials"}
    app = space.pod(
        "web", secrets, containers=[container(security={"runAsUser": 1000})], shareProcessNamespace=True
    ).ready()
    ready_since = app.ready_since()

    def failures() -> int:
        return app.log("keeper-injector-sidecar").count('"event": "refresh.failed"')

    for fault in FAULTS:
        seen = failures()
        with keeper.failing(*fault):
            app.of_supervisor(NOW)
            wait_for(lambda seen=seen: failures() > seen, f"a refresh that fails by {fault[0]}", 150)
            assert json.loads(app.read(PATH))["password"] == "correct-horse-battery", fault
    keeper.set("database-credentials", "login", "recovered")
    try:
        wait_for(lambda: recovered(app), "the end of all faults", 150)
    finally:
        keeper.set("database-credentials", "login", "app")
    assert app.ready_since() == ready_since
    assert app.status("app")["restartCount"] == 0
    assert app.status("keeper-injector-sidecar")["restartCount"] == 0


def recovered(app: Pod) -> bool:
    """Ask for a refresh, which Keeper's quiet window may put off, and say whether one has brought the new value."""
    app.of_supervisor(NOW)
    time.sleep(2)
    return bool(json.loads(app.read(PATH))["login"] == "recovered")


def test_throttled_pods_leave_keeper_alone(space: Namespace, keeper: Keeper) -> None:
    """Keeper prolongs its refusal with each request: after one, pods of short intervals do not ask again for a while."""
    secrets = {"secret": "api-keys", "refresh-interval": "10s"}
    app = space.pod("web", secrets, containers=[container(security={"runAsUser": 1000})]).ready()
    with keeper.failing("throttled"):
        first, second = wait_for(lambda: refusals(app)[:2] if len(refusals(app)) > 1 else None, "two refusals")
    # The quiet time is 30 s, in which an agent that does not keep it would ask two or three times.
    assert second - first > timedelta(seconds=25)
    asked = keeper.requests
    wait_for(lambda: keeper.requests > asked, "another request")
    assert app.is_ready()


def refusals(app: Pod) -> list[datetime]:
    """Return when Keeper refused, as the sidecar tells it."""
    lines = [json.loads(line) for line in app.log("keeper-injector-sidecar").splitlines()]
    return [datetime.fromisoformat(line["time"]) for line in lines if "throttled" in line.get("cause", "")]
