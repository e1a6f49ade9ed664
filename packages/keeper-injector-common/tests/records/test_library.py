"""Finding records and folders by the names that people write."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_injector_common.errors import (
    ContractError,
    RecordGoneError,
    SelectionError,
    UnreadableRecordError,
)
from keeper_injector_common.records import Folder, Library, Record
from keeper_injector_common.references import (
    RecordName,
    is_uid,
)


def record(uid: str, title: str, folder: tuple[str, ...] = (), folder_uids: tuple[str, ...] = ()) -> Record:
    """Return a record without fields."""
    return Record(uid, title, "login", (), folders=(Folder(folder, folder_uids),) if folder else ())


def name(*parts: str) -> RecordName:
    """Return the name of a record or folder."""
    return RecordName(parts)


LIBRARY = Library(
    (
        record("u2", "db"),
        record("u1", "db"),
        record("u3", "cache", ("Prod", "EU"), ("f1", "f2")),
        record("u4", "queue", ("Prod",), ("f1",)),
        record("u5", "u3"),
        record("u6", "Prod/queue"),
        record("u7", "mail", ("Test",), ("f3",)),
        record("u8", "Asia/queue"),
    )
)

FOUND = {
    "by UID": (name("u1"), "u1"),
    "by UID before title": (name("u3"), "u3"),
    "by title": (name("mail"), "u7"),
    "several of one title: lowest UID": (name("db"), "u1"),
    "by folders and title": (name("Prod", "EU", "cache"), "u3"),
    "by folders and UID": (name("Prod", "EU", "u3"), "u3"),
    "folders before a title with slashes": (name("Prod", "queue"), "u4"),
    "a title with escaped slashes": (name("Prod/queue"), "u6"),
    "a title with slashes": (name("Asia", "queue"), "u8"),
    "a UID in a folder before a title": (name("Prod", "EU", "u3"), "u3"),
}


@pytest.mark.parametrize(("wanted", "uid"), FOUND.values(), ids=FOUND.keys())
def test_record_is_found(wanted: RecordName, uid: str) -> None:
    """A record is found by UID, otherwise by title, otherwise by folders and title."""
    assert LIBRARY.find(wanted).uid == uid


def test_ambiguous_title_is_an_error_if_strict() -> None:
    """In strict mode, a title of several records is an error that lists their UIDs; a UID is never ambiguous."""
    with pytest.raises(SelectionError, match=r"^record 'db': 2 records have this title; use a UID of u1, u2$"):
        LIBRARY.find(name("db"), strict=True)
    assert LIBRARY.find(name("u2"), strict=True).title == "db"


MISSING = {
    "similar title": (LIBRARY, "cahce", "record 'cahce': not shared with this application; did you mean 'cache'?"),
    "other case": (LIBRARY, "MAIL", "record 'MAIL': not shared with this application; did you mean 'mail'?"),
    "no record": (
        Library(()),
        "db",
        "record 'db': not shared with this application; share it with the application in Keeper",
    ),
    "one record": (
        Library((record("u", "xyz"),)),
        "db",
        "record 'db': not shared with this application; there is one other: 'xyz'",
    ),
    "many records": (
        Library(tuple(record(f"u{n}", f"xyz{n}") for n in range(7))),
        "db",
        "record 'db': not shared with this application; there are 7 others",
    ),
}


@pytest.mark.parametrize(("library", "title", "message"), MISSING.values(), ids=MISSING.keys())
def test_missing_record_is_an_error_that_suggests_others(library: Library, title: str, message: str) -> None:
    """The error for a missing record suggests similar titles, or lists the titles if they are few."""
    with pytest.raises(RecordGoneError) as caught:
        library.find(name(title))
    assert str(caught.value) == message


def test_unreadable_record_is_not_reported_as_gone() -> None:
    """If a record could not be decrypted, a missing title may be its title, so that its files are kept."""
    library = Library((record("u1", "db"),), unreadable=("u8", "u9"))
    with pytest.raises(UnreadableRecordError, match=r"^record 'u9': Keeper sent it, but it cannot be decrypted; share"):
        library.find(name("u9"))
    with pytest.raises(UnreadableRecordError, match=r"^record 'mail': not found, and 2 .* decrypted \(u8, u9\); share"):
        library.find(name("mail"))
    with pytest.raises(UnreadableRecordError, match=r"^folder 'Prod': no readable record found, and 2 "):
        library.in_folder(name("Prod"))
    assert library.find(name("db")).uid == "u1"


def test_a_malformed_record_is_not_reported_as_encrypted() -> None:
    """What a missing title may be is named by its cause, because to share a malformed record again does not help."""
    library = Library((record("u1", "db"),), unreadable=("u7", "u8", "u9"), malformed=("u8", "u9"))
    both = (
        r"and 1 sent by Keeper cannot be decrypted \(u7\), and the content of 2 sent .* write it \(u8, u9\); share it"
    )
    with pytest.raises(UnreadableRecordError, match=both):
        library.find(name("mail"))
    library = Library((), unreadable=("u8",), malformed=("u8",))
    with pytest.raises(
        UnreadableRecordError, match=r"^record 'mail': not found, and the content of 1 .*; correct it in Keeper, as"
    ):
        library.find(name("mail"))


FOLDERS = {
    "path": (name("Prod"), False, ["u4"]),
    "path, recursive": (name("Prod"), True, ["u3", "u4"]),
    "deep path": (name("Prod", "EU"), False, ["u3"]),
    "UID": (name("f1"), False, ["u4"]),
    "UID, recursive": (name("f1"), True, ["u3", "u4"]),
}


@pytest.mark.parametrize(("folder", "recursive", "uids"), FOLDERS.values(), ids=FOLDERS.keys())
def test_folder_is_found_by_path_or_uid(folder: RecordName, *, recursive: bool, uids: list[str]) -> None:
    """A folder is a path of names or a UID; only a recursive search includes subfolders."""
    assert [item.uid for item in LIBRARY.in_folder(folder, recursive=recursive)] == uids


def test_missing_folder_is_an_error_that_suggests_others() -> None:
    """The error for a folder without records suggests similar paths."""
    with pytest.raises(RecordGoneError) as caught:
        LIBRARY.in_folder(name("Prod", "EUR"))
    assert str(caught.value) == (
        "folder 'Prod/EUR': no record in it is shared with this application; did you mean 'Prod/EU' or 'Prod'?"
    )


UID = "AAAAAAAAAAAAAAAAAAAAAA"
LOW = ("Low trust",)


def test_a_title_cannot_take_the_place_of_a_path() -> None:
    """A path means folders first. A record elsewhere with the path as its title matches too, which is an error if strict."""
    wanted = name("Prod", "DB", "mysql")
    inside, outside = record("u2", "mysql", ("Prod", "DB"), ("f1", "f2")), record("u1", "Prod/DB/mysql", LOW, ("f9",))
    both = Library((outside, inside))
    assert both.find(wanted) is inside
    assert both.matches(wanted) == [inside, outside]
    with pytest.raises(
        SelectionError, match=r"2 records match \(u2 is in this folder, u1 has this title\); use a UID of"
    ):
        both.find(wanted, strict=True)
    for one in (name("u1"), name("Prod/DB/mysql")):
        assert both.find(one, strict=True) is outside
    alone = Library((outside,))
    assert alone.find(wanted) is outside
    with pytest.raises(
        RecordGoneError, match=r"in this folder; write Prod\\/DB\\/mysql for the title of u1, because strict-lookup"
    ):
        alone.find(wanted, strict=True)


def test_a_title_cannot_take_the_place_of_a_uid() -> None:
    """A UID means its record first. If strict, what looks like a UID is never a title, also when its record is gone."""
    original, fake = record(UID, "db"), record("u0", UID, LOW, ("f9",))
    both = Library((fake, original))
    assert both.find(name(UID)) is original
    assert both.matches(name(UID)) == [original, fake]
    assert both.find(name(UID), strict=True) is original
    alone = Library((fake,))
    assert alone.find(name(UID)) is fake
    with pytest.raises(
        RecordGoneError, match=f"^record '{UID}': not shared with this application; write u0 for the record"
    ):
        alone.find(name(UID), strict=True)
    in_folder = Library((record("u0", UID, ("Prod",), ("f1",)),))
    assert in_folder.find(name("Prod", UID)).uid == "u0"
    with pytest.raises(RecordGoneError):
        in_folder.find(name("Prod", UID), strict=True)


def test_a_folder_cannot_take_the_place_of_another() -> None:
    """A UID means its folder alone. Several folders with one path are an error if strict, and one folder otherwise."""
    original, fake = record("u1", "db", ("Prod",), (UID,)), record("u2", "db", (UID,), ("f9",))
    both = Library((original, fake))
    assert both.in_folder(name(UID)) == (original,)
    assert Library((fake,)).in_folder(name(UID)) == (fake,)
    with pytest.raises(RecordGoneError, match=r"no folder has this UID; write f9 for the folder with this name$"):
        Library((fake,)).in_folder(name(UID), strict=True)
    assert [library.folder_by_name(name(UID)) for library in (Library((fake,)), both)] == ["f9", ""]
    twins = Library((original, record("u3", "mail", ("Prod", "EU"), ("f3", "f4"))))
    assert [item.uid for item in twins.in_folder(name("Prod"), recursive=True)] == ["u1", "u3"]
    with pytest.raises(SelectionError, match=f"^folder 'Prod': 2 folders have this path; use a UID of {UID}, f3$"):
        twins.in_folder(name("Prod"), recursive=True, strict=True)


def test_a_folder_with_an_unknown_name_hides_what_may_be_in_it() -> None:
    """What may be in such a folder is not gone, and no title takes its place; other names are not affected."""
    library = Library(
        (
            Record("u1", "db", "login", (), folders=(Folder(("Prod", None), ("f1", "f2")),)),
            record("u2", "Prod/EU/db"),
            record("u3", "mail", ("Test",), ("f3",)),
        )
    )
    unknown = r"1 folder whose name cannot be decrypted \(f2\); share it with the application again, or use"
    for strict in (False, True):
        with pytest.raises(
            UnreadableRecordError, match=f"^record 'Prod/EU/db': not found in its folder, and .* {unknown}"
        ):
            library.find(name("Prod", "EU", "db"), strict=strict)
        with pytest.raises(UnreadableRecordError, match=f"^folder 'Prod/EU': not found, and .* {unknown} its UID$"):
            library.in_folder(name("Prod", "EU"), strict=strict)
        for wanted, uid in ((name("u1"), "u1"), (name("Prod/EU/db"), "u2"), (name("Test", "mail"), "u3")):
            assert library.find(wanted, strict=strict).uid == uid
        assert [item.uid for item in library.in_folder(name("f2"), strict=strict)] == ["u1"]
        assert [item.uid for item in library.in_folder(name("Prod"), recursive=True, strict=strict)] == ["u1"]
        for gone in (name("Test", "EU", "db"), name("Prod", "db")):
            with pytest.raises(RecordGoneError):
                library.find(gone, strict=strict)


@pytest.mark.parametrize("title", [" db", "db ", "d\u00a0b", "de\u0301po\u0302t"], ids=ascii)
def test_a_title_that_looks_like_the_name_is_pointed_out(title: str) -> None:
    """Names match exactly, as in Keeper's SDKs; the error says that a record has a title that looks the same."""
    library = Library((record("u1", title, ("Prod",), ("f1",)),))
    written = unicodedata.normalize("NFKC", title).strip()
    assert library.find(name(title), strict=True).uid == "u1"
    for wanted in (name(written), name("Prod", written)):
        with pytest.raises(
            RecordGoneError, match="; the name of u1 looks the same and is not, because of blanks or of"
        ):
            library.find(wanted)
    in_folder = Library((record("u1", "db", ("Prod", title), ("f1", "f2")),))
    with pytest.raises(
        RecordGoneError, match=r"^folder 'Prod/.*'.*; the name of f2 looks the same and is not, because of"
    ):
        in_folder.in_folder(name("Prod", written))


TITLES = st.sampled_from(["db", "cache", "a/b", "a", "b", "uid-1"])
PATHS = st.lists(st.sampled_from(["a", "b"]), max_size=2).map(tuple)
LIBRARIES = st.lists(st.tuples(TITLES, PATHS), max_size=8).map(
    lambda items: Library(tuple(record(f"uid-{n}", title, path) for n, (title, path) in enumerate(items)))
)


@given(LIBRARIES, st.lists(TITLES, min_size=1, max_size=3))
def test_any_name_finds_a_record_that_has_it(library: Library, parts: list[str]) -> None:
    """Any name finds a record with this UID, title, or folders and title; never one with a different name."""
    wanted = RecordName(tuple(parts))
    try:
        found = library.find(wanted)
    except ContractError:
        titles = {item.title for item in library.records} | {item.uid for item in library.records}
        assert wanted.title not in titles
        return
    paths = {"/".join((*map(str, folder.names), last)) for folder in found.folders for last in (found.title, found.uid)}
    assert wanted.title in {found.uid, found.title, *paths}


@given(LIBRARIES)
def test_every_record_can_be_found(library: Library) -> None:
    """A UID finds exactly its record; a title finds the record of that title with the lowest UID, or fails if strict."""
    for item in library.records:
        assert library.find(RecordName((item.uid,)), strict=True) is item
        same = [other for other in library.records if other.title == item.title]
        if item.title not in {other.uid for other in library.records}:
            assert library.find(RecordName((item.title,))) is min(same, key=lambda other: other.uid)
            assert list(library.matches(RecordName((item.title,)))) == sorted(same, key=lambda other: other.uid)


NAMES = st.lists(st.sampled_from([*"ab", "a/b", "uid-1", UID]), min_size=1, max_size=3).map(lambda parts: name(*parts))


@given(
    st.lists(st.tuples(st.sampled_from([*"ab", "a/b", UID]), PATHS), max_size=5),
    st.sampled_from(["a", "b", "a/b", "a/a/b", "uid-1", "a/uid-1", UID, f"a/{UID}"]),
    NAMES,
)
def test_no_record_of_another_folder_replaces_one(
    records: list[tuple[str, tuple[str, ...]]], title: str, wanted: RecordName
) -> None:
    """Anyone who may write to one folder cannot change which record a UID or the path of another folder means.

    Whatever the title of the new record is, a UID and a path mean the same record as before, or, if strict, nothing.
    """
    present = [record(f"uid-{n}", *item) for n, item in enumerate(records)] + [record("B" * 21 + "A", "b", ("a",))]
    library, extended = Library(tuple(present)), Library((*present, record(UID[:-1] + "Q", title, LOW)))
    precise = len(wanted.parts) > 1 or wanted.title in {item.uid for item in present}

    def found(where: Library, *, strict: bool) -> str | None:
        try:
            return where.find(wanted, strict=strict).uid
        except ContractError:
            return None

    before = {item.uid for item in library.matches(wanted, strict=True)}
    if precise and before:
        assert found(extended, strict=False) == found(library, strict=False)
    if precise or is_uid(wanted.title):
        assert found(extended, strict=True) in {found(library, strict=True), None}


_TITLES = ["db", "Prod/db", UID]
_PLACES = [((), ()), (("Prod",), ("f1",)), (("Test",), ("f2",))]
_VAULTS = st.dictionaries(
    st.sampled_from(["u1", "u2", "u3", UID]), st.tuples(st.sampled_from(_TITLES), st.sampled_from(_PLACES))
)


@given(
    st.lists(_VAULTS, min_size=2, max_size=5),
    st.sampled_from([name("db"), name("Prod", "db"), name("Prod/db"), name(UID)]),
    st.booleans(),
)
def test_a_name_moves_to_another_record_only_as_documented(
    vaults: list[dict[str, tuple[str, tuple[tuple[str, ...], tuple[str, ...]]]]], wanted: RecordName, strict: bool
) -> None:
    """Over several states of Keeper: never while its record matches as well, never if strict, and never to a mere title."""
    origin = ""
    for vault in vaults:
        library = Library(tuple(record(uid, title, *place) for uid, (title, place) in vault.items()))
        try:
            found = library.resolve(wanted, strict=strict, origin=origin)
        except (SelectionError, UnreadableRecordError):
            continue
        if origin and found.record.uid != origin:
            assert found.replaced == origin
            assert not strict
            assert not found.by_title
            assert origin != library.matches(wanted)[0].uid
        else:
            assert not found.replaced
        origin = found.record.uid
