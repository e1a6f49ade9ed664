"""Dividing an answer and putting it together again loses nothing but what differs between equal answers."""

from __future__ import annotations

import json
import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from keeper_injector_agent.snapshot.content import Index, canonical, divide

TEXTS = st.text(max_size=8)
UIDS = st.sampled_from(["a", "b", "c", "d"])
FILES = st.lists(st.fixed_dictionaries({"fileUid": UIDS, "fileKey": TEXTS, "url": TEXTS}), max_size=2)
RECORDS = st.lists(
    st.fixed_dictionaries(
        {"recordUid": UIDS, "data": TEXTS, "revision": st.integers(0, 3)},
        optional={"files": st.none() | FILES, "recordKey": TEXTS, "isEditable": st.booleans()},
    ),
    max_size=4,
)
FOLDERS = st.lists(st.fixed_dictionaries({"folderUid": UIDS, "folderKey": TEXTS, "records": RECORDS}), max_size=3)
ANSWERS = st.fixed_dictionaries(
    {"records": st.none() | RECORDS, "folders": st.none() | FOLDERS},
    optional={"appData": TEXTS, "expiresOn": st.integers(), "warnings": st.none(), "encryptedAppKey": TEXTS},
)


def together(answer: dict[str, Any], folders: dict[str, Any], uids: tuple[str, ...] = ()) -> tuple[Any, Any]:
    """Divide the answers, and put them together again for *uids*."""
    snapshot = divide(answer, folders, {})
    index = Index(snapshot.index.content)
    return index.answer(uids, lambda digest: json.loads(snapshot.records[digest].content)), index.folders()


@given(ANSWERS, FOLDERS)
def test_nothing_is_lost(answer: dict[str, Any], folders: list[dict[str, Any]]) -> None:
    found, tree = together(answer, {"folders": folders})
    assert canonical(found) == canonical(answer)
    assert canonical(tree) == canonical({"folders": folders})


@given(ANSWERS, st.sets(UIDS, min_size=1))
def test_a_filter_gives_what_keeper_would_give(answer: dict[str, Any], uids: set[str]) -> None:
    def filtered(records: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
        return [record for record in records or () if record["recordUid"] in uids]

    folders = [{**folder, "records": filtered(folder["records"])} for folder in answer["folders"] or ()]
    wanted = {
        **answer,
        "records": filtered(answer["records"]),
        "folders": [folder for folder in folders if folder["records"]],
    }
    assert canonical(together(answer, {}, tuple(uids))[0]) == canonical(wanted)


@given(ANSWERS, st.randoms(use_true_random=False))
def test_the_order_and_urls_make_no_difference(answer: dict[str, Any], order: random.Random) -> None:
    other = json.loads(json.dumps(answer))
    for holder in (other, *(other["folders"] or ())):
        order.shuffle(holder["records"] or [])
        for record in holder["records"] or ():
            for file in record.get("files") or ():
                file["url"] = "https://elsewhere.example"
    order.shuffle(other["folders"] or [])
    assert divide(answer, {}, {}) == divide(other, {}, {})


@given(ANSWERS)
def test_each_record_has_its_own_part(answer: dict[str, Any]) -> None:
    """A change of one record changes its part and the index, and no other part."""
    records = answer["records"]
    if not records:
        return
    before = divide(answer, {}, {})
    records[0]["data"] += "x"
    after = divide(answer, {}, {})
    assert len(after.records.keys() - before.records.keys()) <= 1
    assert before.index != after.index
