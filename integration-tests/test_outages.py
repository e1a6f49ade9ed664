"""During every fault of Keeper, a running application stays Ready and keeps its files."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta

import pytest
from keeper import Keeper
from pods import Namespace, Pod, container, wait_for

FAULTS = (("status", "503"), ("cut",), ("corrupt",), ("revoked",), ("hang",), ("throttled",))
PATH = "/keeper/secrets/database-credentials.json"
NOW = "os.kill(int(process.name), signal.SIGHUP)"
"""Makes the sidecar refresh at once, even if it is waiting."""


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault[0])
def test_no_fault_reaches_an_application(space: Namespace, keeper: Keeper, fault: tuple[str, ...]) -> None:
    """A fault fails a refresh, which is logged; the application stays Ready with its files, and a later refresh succeeds."""
    secrets = {"secret": "database-credentials"}
    app = space.pod(
        "web", secrets, containers=[container(security={"runAsUser": 1000})], shareProcessNamespace=True
    ).ready()
    ready_since = app.ready_since()

    with keeper.failing(*fault):
        app.of_supervisor(NOW)
        wait_for(lambda: '"event": "refresh.failed"' in app.log("keeper-injector-sidecar"), "a refresh that fails", 150)
        assert json.loads(app.read(PATH))["password"] == "correct-horse-battery"
    keeper.set("database-credentials", "login", "recovered")
    try:
        wait_for(lambda: recovered(app), "the end of the fault", 150)
    finally:
        keeper.set("database-credentials", "login", "app")
    assert app.ready_since() == ready_since
    assert app.status("app")["restartCount"] == 0
    assert app.status("keeper-injector-sidecar")["restartCount"] == 0


def recovered(app: Pod) -> bool:
    """Request a refresh, which Keeper's throttle window may delay, and return whether the new value has arrived."""
    app.of_supervisor(NOW)
    time.sleep(2)
    return bool(json.loads(app.read(PATH))["login"] == "recovered")


def test_throttled_pods_leave_keeper_alone(space: Namespace, keeper: Keeper) -> None:
    """Keeper extends a throttle window with each request, so pods with short intervals do not send another one for a while."""
    secrets = {"secret": "api-keys", "refresh-interval": "10s"}
    app = space.pod("web", secrets, containers=[container(security={"runAsUser": 1000})]).ready()
    with keeper.failing("throttled"):
        first, second = wait_for(lambda: refusals(app)[:2] if len(refusals(app)) > 1 else None, "two refusals")
    # The window is 30 s; an agent that ignores it would send two or three requests.
    assert second - first > timedelta(seconds=25)
    asked = keeper.requests
    wait_for(lambda: keeper.requests > asked, "another request")
    assert app.is_ready()


def refusals(app: Pod) -> list[datetime]:
    """Return when Keeper throttled, according to the sidecar's log."""
    lines = [json.loads(line) for line in app.log("keeper-injector-sidecar").splitlines()]
    return [datetime.fromisoformat(line["time"]) for line in lines if "throttled" in line.get("cause", "")]
