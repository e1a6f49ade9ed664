"""A large answer that is divided has the same records as a whole one."""

from __future__ import annotations

import json
import time
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_injector_agent.keeper import client as client_module
from keeper_injector_agent.keeper.client import connect
from keeper_injector_agent.keeper.parts import divide
from keeper_injector_agent.keeper.sdk import KeeperVault
from keeper_injector_agent.keeper.transport import Transport
from keeper_injector_common.records import Library
from keeper_injector_common.references import RecordName
from local_keeper import LocalKeeper

SMALL = st.none() | st.integers() | st.text() | st.lists(st.integers(), max_size=3)
FOLDERS = st.lists(
    SMALL | st.fixed_dictionaries({"folderUid": st.text()}, optional={"records": st.lists(SMALL) | SMALL})
)
ANSWERS = st.fixed_dictionaries(
    {}, optional={"records": st.lists(SMALL) | SMALL, "folders": FOLDERS | SMALL, "warnings": SMALL}
)


@given(st.binary() | (SMALL | ANSWERS).map(lambda content: json.dumps(content).encode()), st.integers(1, 4))
def test_the_parts_have_together_what_the_answer_has(answer: bytes, most: int) -> None:
    """Nothing is lost, doubled or reordered, and what is not as expected is passed on as it is."""
    parts = list(divide(answer, large=0, most=most))
    if parts == [answer]:
        return
    whole: dict[str, Any] = json.loads(answer)
    first, *rest = map(json.loads, parts)
    assert first == {key: value for key, value in whole.items() if key not in {"records", "folders"}}
    assert [record for part in rest for record in part.get("records", ())] == (whole.get("records") or [])
    assert all(len(part.get("records", ())) <= most for part in rest)
    folders: list[Any] = []
    for folder in (folder for part in rest for folder in part.get("folders", ())):
        inside = folder.get("records") if isinstance(folder, dict) else None
        assert not isinstance(inside, list) or len(inside) <= most
        folders.append(folder)
    flat = [(_without_records(folder), record) for folder in folders for record in _records(folder)]
    assert flat == [
        (_without_records(folder), record) for folder in whole.get("folders") or [] for record in _records(folder)
    ]


def _records(folder: Any) -> list[Any]:
    inside = folder.get("records") if isinstance(folder, dict) else None
    return inside if isinstance(inside, list) and inside else ["no records"]


def _without_records(folder: Any) -> Any:
    return {key: value for key, value in folder.items() if key != "records"} if isinstance(folder, dict) else folder


@pytest.mark.parametrize("most", [1, 2, 7])
def test_a_divided_answer_gives_the_same_library(
    keeper: LocalKeeper, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """Also with a damaged record, a damaged folder, and a record in several folders."""
    keeper.corrupt_record("redis")
    keeper.damage_folder("Staging", "key")
    keeper.add_shortcut("api-keys", "Databases")
    keeper.add_shortcut("shared-token")

    def fetch() -> Library:
        transport = Transport(ca_file=keeper.ca_file, deadline=time.monotonic() + 30)
        return KeeperVault(connect(keeper.config_dict(), transport)).fetch(folders=True)

    whole = fetch()
    monkeypatch.setattr(client_module, "divide", partial(divide, large=0, most=most))
    divided = fetch()
    by_uid = {record.uid: record for record in divided.records}
    assert len(by_uid) == len(divided.records) == len(whole.records)
    for record in whole.records:
        without_code = record.title == "two-factor"  # the time may have gone on
        head = by_uid[record.uid]
        assert without_code or divided.load(head) == record
        assert without_code or divided.find(RecordName((record.uid,))) == record
        assert (head.uid, head.title, head.type, head.folders) == (
            record.uid,
            record.title,
            record.type,
            record.folders,
        )
    assert set(divided.unreadable) == set(whole.unreadable)
    complete = {record.title for record in divided.records if record.fields or record.attachments}
    assert complete <= {"mysql"}, "a record beside a damaged one, where the SDK reads neither"
    folder = RecordName(("Production", "Databases"))
    assert divided.in_folder(folder) == whole.in_folder(folder)


def test_a_malformed_record_of_a_large_answer_is_reported(
    keeper: LocalKeeper, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is found while all records are read, as in a small answer, and affects no other record."""
    keeper.vault.find("api-keys").data["fields"].append(None)
    monkeypatch.setattr(client_module, "divide", partial(divide, large=0, most=3))
    transport = Transport(ca_file=keeper.ca_file, deadline=time.monotonic() + 30)
    library = KeeperVault(connect(keeper.config_dict(), transport)).fetch()
    transport.close()
    assert library.malformed == (keeper.uid("api-keys"),)
    assert "record.malformed" in caplog.text
    assert library.find(RecordName(("two-factor",))).fields
