"""The sidecar behind a relay: a change arrives long before the refresh interval is over, and forged heads cause little work."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from agent_pods import wait_for
from relays import Relayed
from sidecars import children, sidecar

from keeper_injector_agent.supervisor.relay_head import RelayHead
from keeper_injector_common.plan.paths import RELAY_NAME, STATE_PATH

PASSWORD = {"password": "database-credentials[password]"}


@pytest.fixture(name="head")
def _head(relayed: Relayed) -> Iterator[RelayHead]:
    """What asks the relay, after the first refresh."""
    relayed.pod.wants(PASSWORD)
    assert relayed.pod.run("init").returncode == 0
    head = RelayHead(str(relayed.pod.at(STATE_PATH)))
    yield head
    head.close()


def test_a_change_arrives_without_waiting_for_the_interval(relayed: Relayed) -> None:
    relayed.pod.wants(PASSWORD, refresh_interval=3600.0)
    assert relayed.pod.run("init").returncode == 0
    with sidecar(relayed.pod) as process:
        wait_for(lambda: not children(process.pid))
        relayed.keeper.set_field("database-credentials", "password", "new")
        relayed.poll()
        wait_for(lambda: relayed.pod.file("password") == "new", 40.0)


def test_only_a_newer_index_is_a_change(relayed: Relayed, head: RelayHead) -> None:
    assert not head.has_changed()
    relayed.poll()
    assert not head.has_changed()  # only its time is newer
    relayed.keeper.set_field("database-credentials", "password", "new")
    relayed.poll()
    assert head.has_changed()
    assert not head.has_changed()  # a worker has just been started for it


def test_a_worker_that_reached_another_replica_is_followed_by_one_more(
    relayed: Relayed, head: RelayHead, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After growing pauses, as long as the last worker did not use this index."""
    now = time.monotonic()
    monkeypatch.setattr("time.monotonic", lambda: now)
    relayed.keeper.set_field("database-credentials", "password", "new")
    relayed.poll()
    found = []
    for seconds in range(200):
        now += 1
        if head.has_changed():
            found.append(seconds)
    assert found == [0, 10, 30, 70, 150]
    assert relayed.pod.run("once").returncode == 0
    now += 1000
    assert not head.has_changed()


def test_an_older_snapshot_is_not_a_change(relayed: Relayed, head: RelayHead) -> None:
    path = relayed.published / "head.json"
    values = json.loads(path.read_bytes())
    path.write_text(json.dumps({**values, "index": "0" * 64, "fetched": values["fetched"] - 60}), encoding="utf-8")
    assert not head.has_changed()


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"x" * 20000, b'{"index": "', b'{"index": "a", "fetched": 1e9}', b"\xff" * 9]
)
def test_any_other_content(relayed: Relayed, head: RelayHead, content: bytes) -> None:
    (relayed.published / "head.json").write_bytes(content)
    assert not head.has_changed()


def test_the_connection_stays_open_and_is_replaced(relayed: Relayed, head: RelayHead) -> None:
    assert not head.has_changed()
    kept = head.descriptors()
    assert len(kept) == 1
    assert not head.has_changed()
    assert head.descriptors() == kept
    (relayed.published / "head.json").unlink()
    assert not head.has_changed()
    assert head.descriptors() == []
    relayed.poll()
    assert not head.has_changed()
    assert len(head.descriptors()) == 1


def test_nobody_to_ask(relayed: Relayed, head: RelayHead) -> None:
    """The relay is away, or the last worker used none."""
    file = relayed.pod.at(f"{STATE_PATH}/{RELAY_NAME}")
    host, _, *rest = file.read_text(encoding="ascii").split()
    file.write_text(" ".join([host, "9", *rest]), encoding="ascii")
    assert not head.has_changed()
    file.unlink()
    assert not head.is_used()
    assert not head.has_changed()


def test_a_pod_without_a_relay_leaves_nothing_to_ask(relayed: Relayed, head: RelayHead, tmp_path: Path) -> None:
    """The configuration was replaced by one for Keeper itself."""
    relayed.pod.put("/keeper/credentials/config", relayed.keeper.config())
    assert head.is_used()
    assert relayed.pod.run("once").returncode == 0
    assert not head.is_used()
