"""An agent behind a relay: the same files as with Keeper itself, from snapshots that only this application's device signs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import relays
import trustme
from agent_pods import AgentPod, events, item
from cryptography.hazmat.primitives.asymmetric import ec
from relays import Relayed
from servers import serving
from sidecars import UNUSED, imported_by_refresh

from keeper_injector_agent.relay.halves import device_key
from keeper_injector_agent.snapshot.content import Part
from keeper_injector_agent.snapshot.head import Head
from keeper_injector_agent.state import load_state
from keeper_injector_common.plan.model import Directory, FolderItem
from keeper_injector_common.plan.paths import CA_PATH, CREDENTIALS_PATH, RELAY_NAME, STATE_PATH
from keeper_injector_common.references import RecordName
from local_keeper import LocalKeeper

PASSWORD = {"password": "database-credentials[password]"}


def test_files_arrive_without_a_request_to_keeper(relayed: Relayed) -> None:
    relayed.pod.wants(PASSWORD)
    result = relayed.pod.run("init")
    assert result.returncode == 0, result.stderr
    assert relayed.keeper.requests == {}
    assert relayed.pod.file("password")


def test_all_files_are_those_of_an_agent_without_a_relay(relayed: Relayed, tmp_path: Path) -> None:
    """Titles, folders, attachments, fields and whole records: byte for byte."""
    direct = AgentPod(tmp_path / "direct", relayed.keeper)
    for pod in (relayed.pod, direct):
        wanted = [item(f"{number}", reference) for number, reference in enumerate(_everything(relayed.keeper))]
        folder = FolderItem(RecordName(("Production",)), 0o440)
        volumes = (
            Directory("/keeper/volumes/0", "/app", tuple(wanted)),
            Directory("/keeper/volumes/1", "/more", (), (folder,)),
        )
        pod.at("/keeper/volumes/1").mkdir()
        pod.plan(directories=volumes)
        result = pod.run("init")
        assert result.returncode == 0, result.stderr
    for volume in ("/keeper/volumes/0", "/keeper/volumes/1"):
        found = [
            {path.name: path.read_bytes() for path in pod.at(volume).iterdir() if not path.name.startswith("..")}
            for pod in (relayed.pod, direct)
        ]
        assert found[0] == found[1]
        assert found[0]


def _everything(keeper: LocalKeeper) -> list[str]:
    """Return a reference to each record of the sample vault whose content does not depend on the time."""
    titles = [title for title in keeper.vault.titles() if "/" not in title and title != "two-factor"]
    return [*titles, "database-credentials[password]", keeper.uid("api-keys"), "keeper://TLS Certs/file/server.pem"]


def test_an_unchanged_refresh_imports_little(relayed: Relayed) -> None:
    """As with Keeper itself, apart from attrs, which a snapshot's values use, and IDNA, which http.client uses for names of hosts."""
    relayed.pod.wants(PASSWORD)
    assert "keeper_injector_common.records" in imported_by_refresh(relayed.pod)
    assert UNUSED & imported_by_refresh(relayed.pod) == {"attr", "encodings.idna"}


def test_a_change_arrives(relayed: Relayed) -> None:
    relayed.pod.wants(PASSWORD)
    assert relayed.pod.run("init").returncode == 0
    relayed.keeper.set_field("database-credentials", "password", "new")
    relayed.poll()
    assert relayed.pod.run("once").returncode == 0
    assert relayed.pod.file("password") == "new"


def test_names_by_uid_fetch_only_what_they_name(relayed: Relayed) -> None:
    """A pod that names one record by UID loads the head, the index and that record."""
    relayed.pod.wants({"password": f"{relayed.keeper.uid('database-credentials')}[password]"})
    assert relayed.pod.run("init").returncode == 0
    assert load_state(relayed.pod.at(STATE_PATH)).counts["requests_ok"] == 3


def _change_head(relayed: Relayed, key: ec.EllipticCurvePrivateKey | None = None, **values: object) -> None:
    path = relayed.published / "head.json"
    content = json.loads(path.read_bytes())
    content.pop("signature")
    head = Head(**{**content, **values})
    path.write_bytes(head.signed_by(key or _key(relayed)))


def _key(relayed: Relayed) -> ec.EllipticCurvePrivateKey:
    return device_key(json.loads(relayed.halves[0].read_bytes()), "test")


def _unsigned(relayed: Relayed) -> None:
    path = relayed.published / "head.json"
    content = json.loads(path.read_bytes())
    path.write_text(json.dumps({**content, "fetched": content["fetched"] + 1}), encoding="utf-8")


def _alter_parts(relayed: Relayed, pattern: str) -> None:
    for path in relayed.published.glob(pattern):
        path.write_bytes(path.read_bytes()[:-2] + b" }")


ATTACKS: dict[str, tuple[Callable[[Relayed], None], str]] = {
    "a head whose time was changed": (_unsigned, "not signed by this application's device"),
    "a head signed by another key": (
        lambda relayed: _change_head(relayed, ec.generate_private_key(ec.SECP256R1())),
        "not signed by this application's device",
    ),
    "a head for another application": (
        lambda relayed: _change_head(relayed, application="0" * 64),
        "belongs to another application",
    ),
    "a snapshot that is too old": (lambda relayed: _change_head(relayed, fetched=1_700_000_000), "old"),
    "no head": (lambda relayed: (relayed.published / "head.json").unlink(), "publishes nothing"),
    "a head that is not JSON": (
        lambda relayed: _truncate(relayed.published / "head.json"),
        "not the head of a snapshot",
    ),
    "an altered index": (lambda relayed: _alter_parts(relayed, "index-*"), "does not have the content"),
    "altered records": (lambda relayed: _alter_parts(relayed, "r/*"), "does not have the content"),
}


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:20])


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_the_device_did_not_sign_is_refused(relayed: Relayed, attack: str) -> None:
    """The files stay, and the log says why."""
    relayed.pod.wants(PASSWORD)
    assert relayed.pod.run("init").returncode == 0
    before = relayed.pod.file("password")
    relayed.keeper.set_field("database-credentials", "password", "new")
    relayed.poll()
    change, words = ATTACKS[attack]
    change(relayed)
    result = relayed.pod.run("once", "--deadline", "3")
    assert result.returncode != 0
    assert relayed.pod.file("password") == before
    (failed,) = [event for event in events(result.stderr) if event["event"] == "refresh.failed"]
    assert words in failed["cause"]


def test_a_snapshot_from_before_is_refused(relayed: Relayed) -> None:
    """A relay that is taken over can serve what the device signed once, but not to a pod that knows something newer."""
    head = (relayed.published / "head.json").read_bytes()
    relayed.pod.wants(PASSWORD)
    relayed.keeper.set_field("database-credentials", "password", "new")
    _wait_for_another_second(relayed)
    assert relayed.pod.run("init").returncode == 0
    (relayed.published / "head.json").write_bytes(head)
    result = relayed.pod.run("once", "--deadline", "3")
    assert result.returncode != 0
    assert "older than the one that was used before" in result.stderr
    assert relayed.pod.file("password") == "new"


def _wait_for_another_second(relayed: Relayed) -> None:
    """Publish until the time of the head has changed; it has seconds."""
    before = relays.head_of(relayed.web.root)["fetched"]
    while relays.head_of(relayed.web.root)["fetched"] == before:
        relayed.poll()


def test_new_pods_start_while_keeper_is_down(relayed: Relayed) -> None:
    relayed.keeper.outage(3600)
    relayed.pod.wants(PASSWORD)
    result = relayed.pod.run("init")
    assert result.returncode == 0, result.stderr


def test_each_half_alone_is_useless(relayed: Relayed) -> None:
    """The relay's half has no key for what it fetches, and the pods' half has no identity for Keeper."""
    relay_half, pods_half = (json.loads(path.read_bytes()) for path in relayed.halves)
    assert "appKey" not in relay_half
    assert not {"clientId", "privateKey", "hostname"} & pods_half.keys()
    relayed.pod.put(CREDENTIALS_PATH, json.dumps(relay_half))
    relayed.pod.wants(PASSWORD)
    result = relayed.pod.run("once")
    assert result.returncode != 0
    assert "appKey missing" in result.stderr
    text = b"".join(path.read_bytes() for path in relayed.published.rglob("*") if path.is_file())
    assert b"correct-horse-battery" not in text


def test_an_unreachable_relay(relayed: Relayed) -> None:
    half = json.loads(relayed.halves[1].read_bytes())
    relayed.pod.put(CREDENTIALS_PATH, json.dumps({**half, "relay": "http://127.0.0.1:9"}))
    relayed.pod.wants(PASSWORD)
    result = relayed.pod.run("init", "--deadline", "2")
    assert result.returncode != 0
    assert "relay: no connection to http://127.0.0.1:9" in relayed.pod.termination_message()


def test_an_attachment_that_the_relay_does_not_publish(relayed: Relayed) -> None:
    """It is a problem of that file alone, and the other files arrive."""
    relayed.keeper.set_file("api-keys", "large.bin", b"x" * 5000)
    small = relays.application(relayed.halves[0], relayed.web.root, relayed.keeper, attachment=4000)
    small.poll(frozen=False)
    wanted = (item("large", "keeper://api-keys/file/large.bin"), item("password", PASSWORD["password"]))
    volumes = (Directory("/keeper/volumes/0", "/app", wanted),)
    relayed.pod.plan(directories=volumes, fail_on_error=False)
    result = relayed.pod.run("init")
    assert result.returncode == 0, result.stderr
    assert relayed.pod.files() == ["password"]
    assert "does not publish this attachment" in result.stderr


def test_records_under_exchanged_uids_are_reported(relayed: Relayed) -> None:
    """Keeper's encryption does not bind a content to its UID, so a relay with the device's key can exchange two records."""
    uid, other = relayed.keeper.uid("database-credentials"), relayed.keeper.uid("api-keys")
    relayed.pod.wants({"password": f"{uid}[password]"})
    assert relayed.pod.run("init").returncode == 0
    _publish(relayed, lambda record: {**record, "recordUid": {uid: other, other: uid}.get(record["recordUid"])})
    result = relayed.pod.run("once")
    assert result.returncode == 0, result.stderr
    (event,) = [event for event in events(result.stderr) if event["event"] == "record.identity_changed"]
    assert (event["uid"], event["title"]) == (uid, "api-keys")


def test_a_record_of_an_earlier_revision_is_refused(relayed: Relayed) -> None:
    relayed.pod.wants(PASSWORD)
    relayed.keeper.set_field("database-credentials", "password", "new")
    relayed.poll()
    assert relayed.pod.run("init").returncode == 0
    _publish(relayed, lambda record: {**record, "revision": 0})
    result = relayed.pod.run("once", "--deadline", "3")
    assert result.returncode != 0
    assert "a relay must not go back" in result.stderr
    assert relayed.pod.file("password") == "new"


def _publish(relayed: Relayed, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Publish records that are changed, as a relay could that is taken over: with the device's signature."""
    head = relays.head_of(relayed.web.root)
    index = json.loads((relayed.published / f"index-{head['index']}").read_bytes())
    for holder in (index, *index["folders"]):
        for entry in holder.get("records", ()):
            record = change(json.loads((relayed.published / f"r/{entry[1]}").read_bytes()))
            content = json.dumps(record).encode()
            entry[:] = [record["recordUid"], Part(content).digest]
            (relayed.published / f"r/{entry[1]}").write_bytes(content)
    content = json.dumps(index).encode()
    (relayed.published / f"index-{Part(content).digest}").write_bytes(content)
    _change_head(relayed, index=Part(content).digest)


@pytest.mark.parametrize("host", ["localhost", "localhost."])
def test_a_relay_with_tls(relayed: Relayed, host: str) -> None:
    """Its certificate is verified with the pod's CA; the supervisor, which has no TLS, gets nothing to ask."""
    ca = trustme.CA()

    def respond(_method: str, path: str, *_: object) -> tuple[int, dict[str, str], object]:
        file = relayed.web.root / path.lstrip("/")
        return (200, {}, file.read_text(encoding="utf-8")) if file.is_file() else (404, {}, "")

    relayed.pod.wants(PASSWORD)
    half = json.loads(relayed.halves[1].read_bytes())
    with serving(respond, ca, "localhost") as port:
        relayed.pod.put(CREDENTIALS_PATH, json.dumps({**half, "relay": f"https://{host}:{port}"}))
        refused = relayed.pod.run("init", "--deadline", "5")
        assert "relay: no trusted TLS connection to https://localhost" in refused.stderr
        relayed.pod.put(CA_PATH, ca.cert_pem.bytes().decode())
        result = relayed.pod.run("init")
        assert result.returncode == 0, result.stderr
    assert relayed.pod.file("password") == "correct-horse-battery"
    assert not relayed.pod.at(f"{STATE_PATH}/{RELAY_NAME}").exists()
