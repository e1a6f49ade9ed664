"""A relay from the chart: pods of two applications behind it, a replica and Keeper cut off, and what each half can do alone."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time

from fleets import AS_1000, LONG, PORT, RELAY, Fleet, secret
from keeper import Keeper
from pods import FIGURES, Json, Pod, container, wait_for

PATH = "/keeper/secrets/database-credentials.json"


def password(app: Pod) -> str:
    """Return what the application reads."""
    return str(json.loads(app.read(PATH))["password"])


def test_two_applications_share_a_relay(fleet: Fleet, keeper: Keeper, other: Keeper) -> None:
    """Pods of each get their own records; a change arrives within a minute, although their refresh interval is an hour."""
    other.set("database-credentials", "password", "of-billing")
    pods = {}
    for name, one in (("shop", keeper), ("billing", other)):
        space = fleet.space(name, name, one)
        wanted = {"secret": "database-credentials", "refresh-interval": LONG}
        pods[name] = space.pod("web", wanted, containers=[container(**AS_1000)])
    wait_for(lambda: pods["billing"].ready() and password(pods["billing"]) == "of-billing", "the second application")
    assert password(pods["shop"].ready()) == "correct-horse-battery"
    asked = keeper.requests
    keeper.set("database-credentials", "password", "rotated")
    try:
        changed = time.monotonic()
        wait_for(lambda: password(pods["shop"]) == "rotated", "the new password", 90)
        seconds = time.monotonic() - changed
        FIGURES.append(f"behind a relay, a change reached the file after about {seconds:.0f} s")
        # Each replica asks every 30 seconds, and pods of other tests may ask this Keeper, too.
        assert keeper.requests - asked < 10
        assert password(pods["billing"]) == "of-billing"
    finally:
        keeper.set("database-credentials", "password", "correct-horse-battery")


def test_a_replica_and_then_keeper_are_away(fleet: Fleet, keeper: Keeper) -> None:
    """New pods start while either replica restarts, and while Keeper answers no request; nothing happens to running ones."""
    space = fleet.space("outage", "shop", keeper)
    wanted = {"secret": "api-keys", "refresh-interval": LONG}
    first = space.pod("first", wanted, containers=[container(**AS_1000)]).ready()
    ready_since = first.ready_since()
    system = fleet.release.system
    names = [name for name in system.kubectl("get", "pods", "--output=name").split() if RELAY in name]
    assert len(names) == 2
    for number, name in enumerate(names):
        system.kubectl("delete", name, "--wait=false")
        space.pod(f"during-{number}", wanted, containers=[container(**AS_1000)]).ready()
        system.kubectl("rollout", "status", f"deployment/{RELAY}", "--timeout=120s")
    for fault in (("status", "503"), ("cut",)):
        with keeper.failing(*fault):
            space.pod(f"without-keeper-{fault[0]}", wanted, containers=[container(**AS_1000)]).ready()
        log = system.kubectl("logs", f"deployment/{RELAY}", "--container=relay")
        assert "Traceback" not in log
    assert first.ready_since() == ready_since
    assert first.status("app")["restartCount"] == 0


def test_a_freeze_keeps_what_is_published(fleet: Fleet, keeper: Keeper) -> None:
    """Running pods keep their files and new pods get the same content, although Keeper has a new one; the end of the freeze delivers."""
    space = fleet.space("freeze", "shop", keeper)
    wanted = {"secret": "database-credentials", "refresh-interval": LONG}
    running = space.pod("running", wanted, containers=[container(**AS_1000)]).ready()
    before = fleet.relays()
    fleet.freeze("shop")
    keeper.set("database-credentials", "password", "rotated-in-a-freeze")
    try:
        asked = keeper.requests
        # Each of the two replicas has seen the new content twice.
        wait_for(lambda: keeper.requests >= asked + 4, "the relay to go on asking Keeper")
        refresh = ("keeper-injector-agent", "refresh")
        running.run(*refresh, container="keeper-injector-sidecar")
        assert password(running) == "correct-horse-battery"
        new = space.pod("new", wanted, containers=[container(**AS_1000)]).ready()
        assert password(new) == "correct-horse-battery"
        fleet.freeze()
        wait_for(lambda: {password(running), password(new)} == {"rotated-in-a-freeze"}, "the new password")
        assert sorted(fleet.relays()) == sorted(before), "the switch needs no restart"
    finally:
        keeper.set("database-credentials", "password", "correct-horse-battery")


def test_each_half_is_useless_alone(fleet: Fleet, keeper: Keeper) -> None:
    """The Secret of the relay is refused as a pod's configuration, and a relay refuses a whole configuration."""
    space = fleet.space("halves", "shop", keeper)
    half = fleet.release.system.get("secret/shop")["data"]["config"]
    assert "appKey" not in base64.b64decode(half).decode()
    space.apply({**secret("keeper-credentials", ""), "data": {"config": half}})
    app = space.pod("web", {"secret": "api-keys"}, containers=[container(**AS_1000)])
    assert "appKey missing" in wait_for(app.last_words, "the init container to end")


def test_the_relay_has_no_rights_and_serves_nothing_else(fleet: Fleet, keeper: Keeper) -> None:
    """No token is mounted into either container, the web server has no Secret, and lists nothing."""
    system = fleet.release.system
    listing = ("get", "pods", "--selector=app.kubernetes.io/component=relay", "--output=json")
    relays = json.loads(system.kubectl(*listing))["items"]
    for item in relays:
        mounts = {
            one["name"]: {mount["mountPath"] for mount in one["volumeMounts"]} for one in item["spec"]["containers"]
        }
        assert not [path for paths in mounts.values() for path in paths if "serviceaccount" in path]
        assert mounts["web-server"] == {"/relay/published", "/relay/settings", "/tmp"}
    address = system.get(f"service/{RELAY}")["spec"]["clusterIP"]
    program = (
        "import urllib.request, urllib.error\n"
        f"for path in ('', 'v1/', 'metrics', '../relay/settings/nginx.conf'):\n"
        f"    try: print(urllib.request.urlopen('http://{address}:{PORT}/' + path).status)\n"
        "    except urllib.error.HTTPError as error: print(error.code)\n"
    )
    said = keeper.namespace.kubectl("exec", "deployment/local-keeper", "--", "python3", "-c", program)
    assert set(said.split()) <= {"404", "400", "403"}


def test_the_check_knows_the_relay(fleet: Fleet, keeper: Keeper) -> None:
    """Its replicas, the age of what they publish, and whether it has the other half; a half of another split is a failure."""
    space = fleet.space("check", "shop", keeper)
    space.pod("web", {"secret": "api-keys"}, containers=[container(**AS_1000)]).ready()
    found = check(space.name)
    assert [item["status"] for item in found if item["check"] == "relay-replicas"] == ["ok"]
    assert [item["status"] for item in found if item["check"] == "relay-age"] == ["ok"] * 4
    assert [item["status"] for item in found if item["check"] == "relay-halves"] == ["ok"]
    half = json.loads(fleet.halves["shop"])
    space.apply(secret("keeper-credentials", json.dumps({**half, "appKey": base64.b64encode(bytes(32)).decode()})))
    (finding,) = [item for item in check(space.name) if item["check"] == "relay-halves"]
    assert finding["status"] == "failed"
    assert "no relay here has the other half" in finding["found"]


def check(namespace: str) -> list[Json]:
    """Run ``keeper-injector check`` and return its findings."""
    command = [sys.executable, "-m", "keeper_injector_common.cli", "check", "-o", "json", "--namespace", namespace]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert "Traceback" not in done.stderr
    findings: list[Json] = json.loads(done.stdout)["findings"]
    return findings
