"""A Keeper that encrypts everything again in each answer: pods must not fetch all records after each poll."""

from __future__ import annotations

import itertools

import pytest
import relays
from agent_pods import events
from hypothesis import given
from hypothesis import strategies as st
from relays import Relayed

from keeper_injector_agent.relay import application
from keeper_injector_agent.relay.metrics import as_prometheus
from keeper_injector_agent.relay.reencryption import POLLS, Reencryption
from local_keeper import crypto
from local_keeper.sealed import Encrypt, Sealed


def _encrypt_again(_: Sealed, __: str, key: bytes, content: bytes, encrypt: Encrypt = crypto.gcm) -> bytes:
    return encrypt(key, content)


@pytest.fixture(name="restless")
def _restless(relayed: Relayed, monkeypatch: pytest.MonkeyPatch) -> Relayed:
    """A relay of a Keeper that encrypts everything again in each answer, after three polls."""
    monkeypatch.setattr(Sealed, "part", _encrypt_again)
    for _ in range(POLLS + 1):
        relayed.poll()
    return relayed


def test_a_keeper_that_encrypts_everything_again(restless: Relayed, caplog: pytest.LogCaptureFixture) -> None:
    """After three polls the relay publishes nothing new, until a revision changes."""
    logged = [record.message for record in caplog.get_records("setup")]
    assert logged.count("relay.reencrypted") == 1
    assert 'keeper_injector_relay_reencrypted{application="shop"} 1' in as_prometheus([restless.application])
    index, files = relays.head_of(restless.web.root)["index"], set(restless.published.rglob("*"))
    for _ in range(5):
        restless.poll()
    assert relays.head_of(restless.web.root)["index"] == index
    assert set(restless.published.rglob("*")) == files
    restless.pod.wants({"password": "database-credentials[password]"})
    assert restless.pod.run("init").returncode == 0
    restless.keeper.set_field("database-credentials", "password", "new")
    restless.poll()
    assert relays.head_of(restless.web.root)["index"] != index
    result = restless.pod.run("once")
    assert [event["changed"] for event in events(result.stderr) if "changed" in event] == [["/app"]]
    assert restless.pod.file("password") == "new"


def test_what_has_no_revision_arrives_with_the_folders(restless: Relayed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is published again after five minutes, and no pod notices a change of its files."""
    restless.pod.wants({"password": "database-credentials[password]"})
    assert restless.pod.run("init").returncode == 0
    index = relays.head_of(restless.web.root)["index"]
    monkeypatch.setattr(application, "FOLDERS_EVERY", 0.0)
    restless.poll()
    assert relays.head_of(restless.web.root)["index"] != index
    result = restless.pod.run("once")
    assert [event["event"] for event in events(result.stderr)][-1] == "secrets.unchanged"


def test_a_keeper_that_is_at_rest_again(restless: Relayed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two answers that are the same end it, and a change without a new revision is published at once."""
    monkeypatch.undo()
    restless.poll()
    assert restless.application.is_reencrypted
    restless.poll()
    assert not restless.application.is_reencrypted
    assert 'keeper_injector_relay_reencrypted{application="shop"} 0' in as_prometheus([restless.application])


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=40))
def test_ciphertexts_are_ignored_only_if_nothing_else_differs(answers: list[tuple[int, int]]) -> None:
    """A change of the outline is always noticed, and one of ciphertexts unless each of the last three polls had one."""
    guard, keys = Reencryption(), []
    for number, (records, outline) in enumerate(answers):
        keys.append(guard.key(f"r{records}-{outline}", f"o{outline}"))
        last = answers[max(0, number - POLLS) : number + 1]
        restless = len(last) == POLLS + 1 and all(
            one != other and one[1] == other[1] for one, other in itertools.pairwise(last)
        )
        if restless:
            assert guard.is_found
        if number and answers[number - 1][1] != outline:
            assert keys[-1] != keys[-2]
        if number and answers[number - 1] == answers[number]:
            assert not guard.is_found
