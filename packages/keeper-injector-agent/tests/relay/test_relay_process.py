"""The process of a relay: it polls, publishes, waits while Keeper throttles, and changes nothing that is frozen."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import relays
from agent_pods import AgentPod, events, shown, wait_for
from relays import Relayed

from keeper_injector_agent.errors import ThrottledError, TransientVaultError
from keeper_injector_agent.relay.process import Relay
from keeper_injector_agent.relay.publication import RETENTION, Publication
from keeper_injector_agent.snapshot.content import Part, divide
from local_keeper import Fault, LocalKeeper

SHORTEST = "15"


@pytest.fixture(name="relay")
def _relay(keeper: LocalKeeper, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    half, _ = relays.split(keeper, "http://127.0.0.1:8080", tmp_path / "halves")
    place = tmp_path / "applications/shop"
    place.mkdir(parents=True)
    half.rename(place / "config")
    command = [sys.executable, "-m", "keeper_injector_agent", "relay", "--applications", str(place.parent)]
    command += ["--output", str(tmp_path / "published"), "--interval", SHORTEST, "--ca-file", str(keeper.ca_file)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def test_it_publishes_and_ends_when_asked(relay: subprocess.Popen[str], tmp_path: Path, keeper: LocalKeeper) -> None:
    published = tmp_path / "published"
    wait_for(lambda: (published / "ready").exists())
    metrics = (published / "metrics").read_text(encoding="utf-8")
    assert 'keeper_injector_relay_polls_total{application="shop",result="ok"} 1' in metrics
    assert dict(keeper.requests) == {"get_secret": 1, "get_folders": 1, "file_download": 4}
    device = json.loads((tmp_path / "applications/shop/config").read_bytes())["privateKey"]
    assert device.encode() not in shown(relay.pid)
    relay.send_signal(signal.SIGTERM)
    _, log = relay.communicate(timeout=10)
    assert relay.returncode == 0
    found = [event["event"] for event in events(log)]
    assert found == ["relay.started", "relay.published", "relay.editable", "relay.stopped"]


def test_it_never_publishes_who_asks_or_where(
    relay: subprocess.Popen[str], tmp_path: Path, keeper: LocalKeeper
) -> None:
    """Neither the identity of the device, nor an address of Keeper from which attachments could be downloaded."""
    published = tmp_path / "published"
    wait_for(lambda: (published / "ready").exists())
    half = json.loads((tmp_path / "applications/shop/config").read_bytes())
    text = b"".join(path.read_bytes() for path in published.rglob("*") if path.is_file())
    for secret in (half["clientId"], half["privateKey"], "127.0.0.1", "localhost", "https:", "encryptedAppKey"):
        assert secret.encode() not in text


def test_it_refuses_a_whole_configuration(keeper: LocalKeeper, relayed: Relayed, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.write_text(json.dumps(keeper.config_dict()), encoding="utf-8")
    application = relays.application(whole, tmp_path / "other", keeper)
    with pytest.raises(Exception, match="has the application's key, which a relay must not have"):
        application.poll(frozen=False)
    assert not (tmp_path / "other").exists()


def test_nothing_new_publishes_nothing_but_the_time(relayed: Relayed) -> None:
    before = {path.name for path in relayed.published.rglob("*")}
    relayed.poll()
    assert {path.name for path in relayed.published.rglob("*")} == before
    assert dict(relayed.keeper.requests) == {"get_secret": 1}


def test_one_change_publishes_one_record(relayed: Relayed) -> None:
    before = {path.name for path in relayed.published.rglob("*")}
    relayed.keeper.set_field("database-credentials", "password", "new")
    relayed.poll()
    new = {path.name.partition("-")[0] for path in relayed.published.rglob("*") if path.name not in before}
    assert len(new) == 2
    assert "index" in new


def test_throttled(relayed: Relayed) -> None:
    """The last snapshot stays, and the error says until when no request may be sent."""
    head = relays.head_of(relayed.web.root)
    relayed.keeper.fault(Fault.throttled())
    with pytest.raises(ThrottledError):
        relayed.poll()
    assert relays.head_of(relayed.web.root) == head


def test_frozen(relayed: Relayed) -> None:
    """Its content stays, its time goes on, and a new process continues with what is published."""
    relayed.pod.wants({"password": "database-credentials[password]"})
    index = relays.head_of(relayed.web.root)["index"]
    relayed.keeper.set_field("database-credentials", "password", "wrong")
    for application in (relayed.application, relays.application(relayed.halves[0], relayed.web.root, relayed.keeper)):
        application.poll(frozen=True)
        head = relays.head_of(relayed.web.root)
        assert head["index"] == index
        assert head["frozen"] is True
    assert relayed.pod.run("init").returncode == 0
    assert relayed.pod.file("password") == "correct-horse-battery"
    relayed.poll()
    assert relayed.pod.run("once").returncode == 0
    assert relayed.pod.file("password") == "wrong"


def test_frozen_before_the_first_snapshot(relayed: Relayed, tmp_path: Path) -> None:
    """A new replica publishes nothing: it cannot know what was valid when the freeze began."""
    application = relays.application(relayed.halves[0], tmp_path / "empty", relayed.keeper)
    with pytest.raises(TransientVaultError, match="until the application is unfrozen"):
        application.poll(frozen=True)
    assert not list((tmp_path / "empty").rglob("head.json"))


def test_old_parts_stay_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that has a head from before still finds what it refers to."""
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    publication = Publication(tmp_path)

    def publish(data: str) -> None:
        snapshot = divide({"records": [{"recordUid": "u", "data": data}]}, {}, {})
        publication.add_snapshot(snapshot, [publication.add_attachment(Part(data.encode()))])
        publication.announce(b"{}")

    publish("old")
    old = {path for path in tmp_path.rglob("*") if path.is_file()}
    now += 1
    publish("new")
    now += RETENTION - 1
    publish("new")
    assert all(path.exists() for path in old)
    now += 2
    publish("new")
    assert {path for path in old if path.exists()} == {tmp_path / "head.json"}
    assert publication.size() == sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())


def test_a_pod_with_the_relays_half(relayed: Relayed, pod: AgentPod) -> None:
    """The halves were exchanged."""
    pod.put("/keeper/credentials/config", relayed.halves[0].read_text(encoding="utf-8"))
    pod.wants({"a": "api-keys"})
    assert pod.run("once").returncode != 0


def poll(relayed: Relayed, caplog: pytest.LogCaptureFixture, **limits: int) -> list[str]:
    """Poll as the process does, and return the events that it logged."""
    application = relays.application(relayed.halves[0], relayed.web.root, relayed.keeper, **limits)
    relay = Relay([application], relayed.web.root, interval=15.0, frozen=frozenset)
    caplog.clear()
    relay._poll(relay._scheduled[0])
    relay._report()
    os.close(relay._wake_in)
    os.close(relay._wake_out)
    return [record.message for record in caplog.records]


def test_what_it_logs_when_keeper_fails(relayed: Relayed, caplog: pytest.LogCaptureFixture) -> None:
    relayed.keeper.fault(Fault.throttled(), times=None)
    assert "relay.throttled" in poll(relayed, caplog)
    relayed.keeper.clear_faults()
    relayed.keeper.revoke()
    assert "relay.poll_failed" in poll(relayed, caplog)


def test_what_it_logs_about_attachments(relayed: Relayed, caplog: pytest.LogCaptureFixture) -> None:
    assert "relay.attachment_too_large" in poll(relayed, caplog, attachment=3)
    relayed.keeper.fault(Fault.http(503), "file_download", times=None)
    assert "relay.attachment_missing" in poll(relayed, caplog)


def test_what_it_logs_when_it_cannot_write(relayed: Relayed, caplog: pytest.LogCaptureFixture) -> None:
    (relayed.web.root / "metrics").unlink(missing_ok=True)
    (relayed.web.root / "metrics").mkdir()
    assert "relay.write_failed" in poll(relayed, caplog)
