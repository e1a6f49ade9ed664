"""Whatever a record contains, only it, or only one of its attachments, is unreadable: all through Keeper's SDK over HTTPS."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from functools import reduce
from typing import Any

import pytest
from agent_pods import AgentPod, events
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keeper_injector_agent.keeper.client import connect
from keeper_injector_agent.keeper.sdk import KeeperVault
from keeper_injector_agent.keeper.transport import Transport
from keeper_injector_common.errors import ContractError
from keeper_injector_common.plan.delivery import FORMATS
from keeper_injector_common.records import Library, Renderer
from local_keeper import LocalKeeper

UID = "fuzzed-record-fuzzed-r"
FILE = "fuzzed-file-fuzzed-fil"
CODE = "otpauth://totp/x?secret=GEZDGNBV"
RECORD: dict[str, Any] = {
    "title": "fuzzed",
    "type": "login",
    "notes": "a note",
    "fields": [
        {"type": "login", "value": ["lena"]},
        {"type": "password", "value": ["secret"]},
        {"type": "oneTimeCode", "value": [CODE]},
        {"type": "name", "label": "owner", "value": [{"first": "Lena", "last": "L"}]},
    ],
    "custom": [{"type": "text", "label": "zone", "value": ["a", "b"]}, {"type": "fileRef", "value": [FILE]}],
}
METADATA: dict[str, Any] = {"name": "a.pem", "title": "a.pem", "type": "text/plain", "size": 3, "lastModified": 1}

TEXT = st.text(st.characters(codec=None), max_size=8)
"""All characters, also lone surrogates."""
NUMBERS = st.one_of(st.integers(), st.floats(), st.integers(10**35, 10**36), st.just(10**4000))
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=6,
)
RAW = st.sampled_from(
    [
        b"",
        b"\xff",
        b"{",
        b"null",
        b"[]",
        b'{"size": 1e999}',
        b"[" * 100_000,
        b'{"title": "x", "fields": [{"type": "text", "value": ' + b"[" * 200 + b"]" * 200 + b"}]}",
        b'{"title": "x", "fields": [{"type": "text", "value": ' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"}]}",
        b'{"title": "x", "custom": [{"type": "text", "value": [' + b"9" * 10_000 + b"]}]}",
    ]
)


@st.composite
def mutated(draw: st.DrawFn, document: dict[str, Any]) -> bytes:
    """Return *document* as JSON with any value at any position, one to three times; or something that is not a record."""
    if draw(st.integers(0, 9)) == 0:
        return draw(RAW)
    changed = json.loads(json.dumps(document))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(paths(changed))))
        parent = reduce(lambda value, key: value[key], path[:-1], changed)
        if draw(st.booleans()):
            parent[path[-1]] = draw(VALUES)
        else:
            del parent[path[-1]]
        if not changed:
            break
    return json.dumps(changed).encode()


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each value in *value*."""
    if path:
        yield path
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from paths(value[key], (*path, key))


def fetched(keeper: LocalKeeper) -> tuple[KeeperVault, Library]:
    """Return what the agent fetches from *keeper*."""
    vault = KeeperVault(
        connect(keeper.config_dict(), Transport(ca_file=keeper.ca_file, deadline=time.monotonic() + 30))
    )
    return vault, vault.fetch(folders=True)


@pytest.fixture(name="fuzzed", params=["alone", "in a folder"])
def _fuzzed(keeper: LocalKeeper, request: pytest.FixtureRequest) -> LocalKeeper:
    """Return a Keeper with the record that is mutated, shared alone or with other records in a folder."""
    folder = "" if request.param == "alone" else keeper.vault.find("redis").folder
    keeper.vault.add_record({"title": "x", "uid": UID, "files": {"a.pem": "pem", "b.pem": "pem"}}, folder)
    keeper.vault.records[UID].files[0].uid = FILE
    return keeper


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=mutated(RECORD), metadata=st.none() | mutated(METADATA))
def test_no_record_affects_the_others(fuzzed: LocalKeeper, content: bytes, metadata: bytes | None) -> None:
    """The other records and attachments are delivered, and the record itself is a record, or unreadable by its UID."""
    record = fuzzed.vault.records[UID]
    record.content, record.files[0].metadata = content, metadata
    vault, library = fetched(fuzzed)
    titles = {item.title for item in library.records if item.uid != UID}
    assert titles == set(fuzzed.vault.titles()) - {"x"}
    found = [item for item in library.records if item.uid == UID]
    assert [*(item.uid for item in found), *library.unreadable] == [UID]
    renderer = Renderer(library, strict=False, download=vault.download, render_template=lambda *_: "")
    for item in found:
        assert len(item.attachments) + len(item.unreadable_attachments) == 2
        assert "b.pem" in {file.name for file in item.attachments}
        for name in FORMATS:
            try:
                renderer.render_record(item, name)
            except ContractError:
                continue


@pytest.mark.parametrize(
    "content",
    [
        {**RECORD, "title": 7},
        {**RECORD, "title": ["x"]},
        {**RECORD, "notes": {}},
        {**RECORD, "fields": {"login": "x"}},
        {**RECORD, "fields": [None]},
        {**RECORD, "custom": [{"type": 7}]},
        {**RECORD, "custom": [{"type": "text", "label": ["x"]}]},
        ["a list"],
    ],
    ids=["title: number", "title: list", "notes", "fields: object", "field", "type", "label", "record"],
)
def test_a_malformed_record_is_named_by_its_uid(pod: AgentPod, keeper: LocalKeeper, content: object) -> None:
    """The log says what is wrong with the record, but no value of it. The message of the file does not advise to share it again."""
    uid = keeper.add_record({"title": "x", "fields": {"login": "x"}})
    keeper.vault.records[uid].content = json.dumps(content).encode()
    pod.wants({"bad": f"{uid}[login]", "good": "api-keys[login]"})
    result = pod.run("init")
    assert (result.returncode, pod.files()) == (os.EX_DATAERR, ["good"])
    assert f"record '{uid}': its content is not as Keeper's clients write it" in pod.termination_message()
    (line,) = [line for line in events(result.stderr) if line["event"] == "record.malformed"]
    assert (line["uid"], "secret" in line["cause"]) == (uid, False)


@pytest.mark.parametrize("part", ["key", "metadata"])
def test_an_attachment_that_cannot_be_decrypted_does_not_affect_others(
    pod: AgentPod, keeper: LocalKeeper, part: str
) -> None:
    """The record and its other attachments are delivered; the message names the attachment by its UID."""
    bad, good = keeper.vault.find("TLS Certs").files[:2]
    bad.corrupt = part
    pod.wants(
        {
            "bad": f"keeper://TLS Certs/file/{bad.name}",
            "good": f"keeper://TLS Certs/file/{good.name}",
            "title": "keeper://TLS Certs/title",
            "other": "api-keys[login]",
        }
    )
    result = pod.run("init")
    assert (result.returncode, pod.files()) == (os.EX_DATAERR, ["good", "other", "title"])
    assert f"no readable file '{bad.name}' is attached" in pod.termination_message()
    assert bad.uid in pod.termination_message()
    assert "attachment.unreadable" in [line["event"] for line in events(result.stderr)]


def test_an_attachment_of_infinite_size_is_delivered(pod: AgentPod, keeper: LocalKeeper) -> None:
    """The size in the metadata is not used, so any value of it is as good as none."""
    keeper.vault.find("TLS Certs").files[0].metadata = b'{"name": "a.pem", "size": 1e999}'
    pod.wants({"pem": "keeper://TLS Certs/file/a.pem"})
    assert pod.run("init").returncode == 0
