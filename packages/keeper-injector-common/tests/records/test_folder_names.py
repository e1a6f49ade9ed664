"""Names of a folder's files: one for each record, whatever the titles are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_injector_common.records import Library, Record
from keeper_injector_common.records.folder_names import LONGEST_NAME, name_files

U1, U2, U3 = "AAAAAAAAAAAAAAAAAAAAA1", "AAAAAAAAAAAAAAAAAAAAA2", "AAAAAAAAAAAAAAAAAAAAA3"


def names(
    titles: dict[str, str],
    owners: dict[str, str] | None = None,
    unreadable: tuple[str, ...] = (),
    *,
    strict: bool = False,
) -> dict[str, str]:
    """Return the names of the JSON files of records, given by UID and title."""
    records = [Record(uid, title, "login", ()) for uid, title in titles.items()]
    return {
        uid: found.name
        for uid, found in name_files(
            records, ".json", owners or {}, Library(tuple(records), unreadable), strict=strict
        ).items()
    }


def test_records_of_one_title_get_their_uids() -> None:
    """Without an earlier file, no record has more right to the plain name than another."""
    assert names({U1: "db", U2: "db", U3: "x"}) == {U1: f"db-{U1}.json", U2: f"db-{U2}.json", U3: "x.json"}


def test_a_known_record_keeps_its_name() -> None:
    """A duplicate gets the name with its UID, and the file of the running application stays."""
    assert names({U1: "db", U2: "db"}, {"db.json": U2}) == {U1: f"db-{U1}.json", U2: "db.json"}


def test_an_undecryptable_record_keeps_its_name_too() -> None:
    """While the title of a record is unknown, another record does not become its file."""
    assert names({U2: "db"}, {"db.json": U1}, unreadable=(U1,)) == {U2: f"db-{U2}.json"}
    assert names({U2: "db"}, {"db.json": U1}) == {U2: "db.json"}, "a record that was created again"


def test_a_title_cannot_take_the_final_name_of_another_record() -> None:
    """Final names are compared, not titles."""
    assert names({U1: "db", U2: "db", U3: f"db-{U1}"}) == {
        U1: f"db-{U1}.json",
        U2: f"db-{U2}.json",
        U3: f"db-{U1}-{U3}.json",
    }
    assert names({U1: "db", U3: f"db-{U1}"}) == {U1: "db.json", U3: f"db-{U1}-{U3}.json"}, (
        "the other may get its name later"
    )
    assert names({U1: "db", U3: f"db-{U1}"}, {f"db-{U1}.json": U3})[U3] == f"db-{U1}.json", "it has the file already"
    assert names({U1: f"db-{U1}", U3: f"db-{U1}x"}) == {U1: f"db-{U1}.json", U3: f"db-{U1}x.json"}
    assert names({U1: "a/b", U2: "a_b"}) == {U1: f"a_b-{U1}.json", U2: f"a_b-{U2}.json"}


LONG = {"letters": "a" * 251, "two bytes": "é" * 126, "four bytes": "😀" * 63, "very long": "x" * 5000}


@pytest.mark.parametrize("title", LONG.values(), ids=LONG.keys())
def test_a_long_title_is_shortened(title: str) -> None:
    """A name that file systems refuse becomes shorter, at a character, and keeps its suffix."""
    found = names({U1: title, U2: title + "b"})
    for uid, name in found.items():
        head = name.removesuffix(f"-{uid}.json")
        assert len(name.encode()) <= LONGEST_NAME
        assert len(name.encode()) > LONGEST_NAME - 4
        assert f"{title}b".startswith(head)
    assert names({U1: "a" * 250}) == {U1: "a" * 250 + ".json"}


TITLES = st.sampled_from(
    ["db", "DB", "a/b", "a_b", f"db-{U1}", f"db-{U2}", "", ".", "..", "x" * 300, "é" * 130]
) | st.text(max_size=20)
UIDS = [f"AAAAAAAAAAAAAAAAAAAA{number:02}" for number in range(6)]


@given(
    st.lists(TITLES, min_size=1, max_size=6),
    st.dictionaries(st.sampled_from(["db.json", "DB.json"]), st.sampled_from(UIDS)),
)
def test_names_are_unique_short_and_in_the_directory(titles: list[str], owners: dict[str, str]) -> None:
    """Whatever titles a folder has, its records have different names that a directory can contain."""
    records = dict(zip(UIDS, titles, strict=False))
    found = names(records, owners)
    assert len(set(found.values())) == len(records)
    for uid, name in found.items():
        assert 0 < len(name.encode()) <= LONGEST_NAME
        assert "/" not in name
        assert "\0" not in name
        assert not name.startswith(".")
        if owners.get("db.json") == uid and records[uid] == "db":
            assert name == "db.json"


@given(st.lists(st.tuples(st.lists(TITLES, min_size=6, max_size=6), st.sets(st.sampled_from(UIDS))), max_size=4))
def test_a_name_never_moves_to_another_record_if_strict(refreshes: list[tuple[list[str], set[str]]]) -> None:
    """Whatever happens in Keeper, each name of a file belongs to one record for the life of a pod."""
    owners: dict[str, str] = {}
    for titles, present in refreshes:
        records = {uid: title for uid, title in zip(UIDS, titles, strict=True) if uid in present}
        found = names(records, owners, strict=True)
        assert len(set(found.values())) == len(records)
        for uid, name in found.items():
            assert owners.get(name, uid) == uid or name.endswith(f"-{uid}.json")
        owners |= {name: uid for uid, name in found.items()}
