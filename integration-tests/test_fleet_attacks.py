"""A relay that is taken over: what it publishes that is altered, exchanged or old, and what each half can do alone."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from fleets import AS_1000, LONG, Fleet
from keeper import Keeper
from pods import Pod, container, wait_for

PASSWORD = "/app/secrets/db.json"
SIDECAR = "keeper-injector-sidecar"
ATTACK = """
import hashlib, json, pathlib, sys
from keeper_injector_agent.relay.halves import device_key
from keeper_injector_agent.snapshot.head import Head
application, attack = sys.argv[1:]
half = json.loads(pathlib.Path(f"/relay/applications/{application}/config").read_text())
folder = pathlib.Path("/relay/published/v1", half["application"])
file, saved = folder / "head.json", pathlib.Path("/relay/published/saved.json")
head = json.loads(file.read_text())
signature = head.pop("signature")

def sign(**changes):
    file.write_bytes(Head(**{**head, **changes}).signed_by(device_key(half, "half")))

def part(content):
    digest = hashlib.sha256(content).hexdigest()
    return digest, content

if attack == "end":
    file.write_bytes(saved.read_bytes())
    for altered in (folder / "r").iterdir():
        altered.write_bytes(altered.read_bytes().rstrip())
    sys.exit()
if not saved.exists():
    saved.write_bytes(file.read_bytes())
if attack == "unsigned":
    file.write_text(json.dumps({**head, "fetched": head["fetched"] + 1, "signature": signature}))
elif attack == "earlier":
    digest, content = part((folder / f"index-{head['index']}").read_bytes() + b" ")
    (folder / f"index-{digest}").write_bytes(content)
    sign(index=digest, fetched=head["fetched"] - 600)
elif attack == "old":
    sign(fetched=head["fetched"] - 2 * 86400)
elif attack == "altered":
    for record in (folder / "r").iterdir():
        record.write_bytes(record.read_bytes() + b" ")
elif attack == "exchanged":
    index = json.loads((folder / f"index-{head['index']}").read_bytes())
    for holder in (index, *index["folders"]):
        records = [json.loads((folder / f"r/{digest}").read_bytes()) for _, digest in holder["records"]]
        for position, entry in enumerate(holder["records"]):
            own, other = records[position], records[position - 1]
            kept = {"recordUid": own["recordUid"], "revision": own["revision"]}
            entry[1], content = part(json.dumps({**other, **kept}).encode())
            (folder / f"r/{entry[1]}").write_bytes(content)
    digest, content = part(json.dumps(index).encode())
    (folder / f"index-{digest}").write_bytes(content)
    sign(index=digest)
"""
"""What somebody can do who has taken over a relay, and so has the device's private key."""
READ = """
import os, json, sys
os.environ["REQUESTS_CA_BUNDLE"] = "/relay/ca/ca.crt"
from keeper_secrets_manager_core import SecretsManager
from keeper_secrets_manager_core.storage import InMemoryKeyValueStorage
try:
    records = SecretsManager(config=InMemoryKeyValueStorage(sys.stdin.read())).get_secrets()
    print(json.dumps({record.title: record.uid for record in records}))
except Exception as error:
    print(json.dumps({"error": f"{type(error).__name__}: {error}"}))
"""
"""Reads all records with Keeper's own SDK and the configuration on standard input."""
OPEN = """
import base64, binascii, hashlib, itertools, json, pathlib, sys
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

def texts(value):
    if isinstance(value, dict): return itertools.chain.from_iterable(map(texts, value.values()))
    if isinstance(value, list): return itertools.chain.from_iterable(map(texts, value))
    if isinstance(value, str): return [value]
    return []

def decoded(text):
    try: return base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError): return b""

half = json.load(sys.stdin)
known = [form for text in half.values() for form in (text.encode(), decoded(text))]
keys = {hashlib.sha256(form).digest() for form in known}
for form in known:
    keys |= {form[start : start + 32] for start in range(len(form) - 31)}
files = [path for path in pathlib.Path("/relay/published/v1").rglob("*") if path.is_file() and path.parent.name != "f"]
sealed = {decoded(text) for path in files for text in texts(json.loads(path.read_bytes()))}
sealed = {item for item in sealed if len(item) > 28}
opened = 0
for item in sealed:
    for key in keys:
        try: AESGCM(key).decrypt(item[:12], item[12:], None); opened += 1
        except InvalidTag: pass
print(json.dumps({"keys": len(keys), "sealed": len(sealed), "opened": opened}))
"""
"""Tries every key that the values on standard input contain, or that follows from one of them, on everything that is published."""


@pytest.fixture(name="uid", scope="module")
def _uid(fleet: Fleet, keeper: Keeper) -> str:
    """The UID of the record that the pods want."""
    return str(sdk(fleet, whole(keeper))["database-credentials"])


def whole(keeper: Keeper) -> str:
    """Return the KSM configuration before its split."""
    return keeper.namespace.kubectl("exec", "deployment/local-keeper", "--", "cat", "/state/config")


def sdk(fleet: Fleet, config: str) -> dict[str, Any]:
    """Return what Keeper's own SDK reads with *config*, or its error."""
    found: dict[str, Any] = json.loads(fleet.in_relay(fleet.relays()[0], READ, text=config))
    return found


def attack(fleet: Fleet, name: str) -> None:
    """Let all replicas publish something else; they change nothing themselves while Keeper answers no request."""
    for relay in fleet.relays():
        fleet.in_relay(relay, ATTACK, "shop", name)


def refresh(app: Pod) -> str:
    """Refresh now; return what the sidecar logged about it."""
    before = len(app.log(SIDECAR))
    app.run("keeper-injector-agent", "refresh", container=SIDECAR, check=False)
    return app.log(SIDECAR)[before:]


def test_what_a_relay_alters_is_refused(fleet: Fleet, keeper: Keeper, uid: str) -> None:
    """Running pods keep their files and log why, and new pods do not start with what is altered or old."""
    space = fleet.space("attacks", "shop", keeper)
    wanted = {"secret-db": f"{uid}:{PASSWORD}", "refresh-interval": LONG}
    app = space.pod("running", wanted, containers=[container(**AS_1000)]).ready()
    # The relay may still publish the password of another test.
    wait_for(lambda: "correct-horse-battery" in app.read(PASSWORD), "the password in Keeper")
    content = app.read(PASSWORD)
    with keeper.failing("status", "503"):
        try:
            attack(fleet, "unsigned")
            assert "the snapshot is not signed by this application's device" in refresh(app)
            attack(fleet, "earlier")
            assert "older than the one that was used before" in refresh(app)
            assert app.read(PASSWORD) == content
            attack(fleet, "old")
            late = space.pod("late", wanted, containers=[container(**AS_1000)])
            assert "old, and relayMaxAge allows" in wait_for(late.last_words, "the init container to end")
            attack(fleet, "end")
            attack(fleet, "altered")
            fooled = space.pod("fooled", wanted, containers=[container(**AS_1000)])
            words = wait_for(fooled.last_words, "the init container to end")
            assert "does not have the content that the signed snapshot names" in words
            attack(fleet, "end")
            fooled.ready()
            late.ready()
            attack(fleet, "exchanged")
            # The supervisor may notice this before the command does.
            refresh(app)
            assert app.log(SIDECAR).count("record.identity_changed") == 1
        finally:
            attack(fleet, "end")
    refresh(app)
    assert app.log(SIDECAR).count("record.identity_changed") == 2
    assert app.read(PASSWORD) == content
    assert app.status("app")["restartCount"] == 0


def test_the_relays_half_opens_nothing(fleet: Fleet, keeper: Keeper) -> None:
    """Keeper's SDK reads no record with it, and no key in it opens what is published; the application's key does."""
    half = base64.b64decode(fleet.release.system.get("secret/shop")["data"]["config"]).decode()
    assert "appKey" in str(sdk(fleet, half)["error"])
    relay = fleet.relays()[0]
    tried = json.loads(fleet.in_relay(relay, OPEN, text=half))
    assert tried["opened"] == 0
    assert min(tried["keys"], tried["sealed"]) > 10
    assert json.loads(fleet.in_relay(relay, OPEN, text=fleet.halves["shop"]))["opened"] > 0
    del keeper


def test_keeper_refuses_the_pods_half(fleet: Fleet, keeper: Keeper) -> None:
    """Somebody with the pods' half, who also knows the device's public name, cannot ask Keeper without its private key."""
    relay_half = json.loads(base64.b64decode(fleet.release.system.get("secret/shop")["data"]["config"]))
    pods_half = json.loads(fleet.halves["shop"])
    assert not pods_half.keys() & {"privateKey", "clientId", "hostname"}
    foreign = json.loads(base64.b64decode(fleet.release.system.get("secret/billing")["data"]["config"]))
    mixed = {
        **{key: value for key, value in relay_half.items() if key != "application"},
        "privateKey": foreign["privateKey"],
        "appKey": pods_half["appKey"],
    }
    asked = keeper.requests
    assert "access_denied" in str(sdk(fleet, json.dumps(mixed))["error"])
    assert "error" not in sdk(fleet, json.dumps({**mixed, "privateKey": relay_half["privateKey"]}))
    assert keeper.requests > asked
