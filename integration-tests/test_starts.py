"""Pods that start while Keeper is unavailable retry, and then report the reason or start without secrets."""

from __future__ import annotations

import json

import pytest
from keeper import Keeper
from pods import Namespace, container, wait_for

DATABASE = {"secret": "database-credentials"}
PATH = "/keeper/secrets/database-credentials.json"
AS_1000 = {"security": {"runAsUser": 1000}}


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (("revoked",), "Keeper: access denied"),
        (("status", "503"), "Keeper: HTTP 503"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_keeper_is_down(space: Namespace, keeper: Keeper, fault: tuple[str, ...], said: str) -> None:
    """A starting pod waits and reports the reason, or starts without secrets if allowed; a running pod is not affected."""
    running = space.pod("running", {**DATABASE, "refresh-interval": "10s"}, containers=[container(**AS_1000)]).ready()
    ready_since = running.ready_since()
    with keeper.failing(*fault):
        strict = space.pod("strict", DATABASE, containers=[container(**AS_1000)])
        lenient = space.pod("lenient", {**DATABASE, "fail-on-error": "false", "refresh-interval": "10s"})
        wait_for(lambda: "refresh.failed" in running.log("keeper-injector-sidecar"), "a refresh that fails")
        # The first start ends within seconds, so that the reason is shown; the rest is for a busy node.
        wait_for(lenient.is_ready, "the pod that may start without", 60)
        assert said in wait_for(lambda: strict.last_words(), "the init container's last words", 60)
        assert said in space.kubectl("describe", "pod/strict")
        assert json.loads(running.read(PATH))["login"] == "app"
    wait_for(lambda: lenient.run("cat", PATH, check=False).startswith("{"), "the secret after the outage", 150)
    assert running.ready_since() == ready_since
