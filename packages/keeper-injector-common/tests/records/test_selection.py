"""Finding records, values, attachments and folders by the names that people write."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_injector_common.errors import (
    ContractError,
    RecordGoneError,
    SelectionError,
    UnreadableFieldError,
    UnreadableRecordError,
)
from keeper_injector_common.records import Attachment, Field, Folder, Library, Record
from keeper_injector_common.records.selection import select_file, select_value
from keeper_injector_common.references import (
    ALL_VALUES,
    FieldValue,
    FileContent,
    RecordName,
    RecordText,
    WholeRecord,
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
    )
)

FOUND = {
    "by UID": (name("u1"), "u1"),
    "by UID before title": (name("u3"), "u3"),
    "by title": (name("mail"), "u7"),
    "several of one title: lowest UID": (name("db"), "u1"),
    "by folders and title": (name("Prod", "EU", "cache"), "u3"),
    "by folders and UID": (name("Prod", "EU", "u3"), "u3"),
    "a title with slashes before folders": (name("Prod", "queue"), "u6"),
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


RECORD = Record(
    "u1",
    "Prod DB",
    "databaseCredentials",
    (
        Field("login", "login", "", ("admin",)),
        Field("hosts", "host", "hosts", ({"hostName": "a", "port": "1"}, {"hostName": "b"})),
        Field("url", "url", "", ("https://a.example", "https://b.example")),
        Field("empty", "text", "empty", ()),
        Field("login_2", "text", "login", ("custom",), custom=True),
    ),
    notes="a note",
    attachments=(Attachment("f1", "server.pem", "Server certificate"), Attachment("f2", "server.key", "Key")),
)
DB = name("Prod DB")

VALUES = {
    "field": (FieldValue(DB, "login"), "admin"),
    "field by label": (FieldValue(DB, "login", "custom_field"), "custom"),
    "field by type": (FieldValue(DB, "host"), [{"hostName": "a", "port": "1"}, {"hostName": "b"}]),
    "several values": (FieldValue(DB, "url"), ["https://a.example", "https://b.example"]),
    "one of several": (FieldValue(DB, "url", index=1), "https://b.example"),
    "all values": (FieldValue(DB, "login", index=ALL_VALUES), ["admin"]),
    "no value": (FieldValue(DB, "empty"), ""),
    "property of the first value": (FieldValue(DB, "hosts", property="port"), "1"),
    "property of one value": (FieldValue(DB, "hosts", index=1, property="hostName"), "b"),
    "property of all values": (FieldValue(DB, "hosts", index=ALL_VALUES, property="hostName"), ["a", "b"]),
    "notes": (FieldValue(DB, "notes"), "a note"),
    "notes in Keeper notation": (RecordText(DB, "notes"), "a note"),
    "title": (RecordText(DB, "title"), "Prod DB"),
    "type": (RecordText(DB, "type"), "databaseCredentials"),
    "whole record": (WholeRecord(DB), RECORD.named_values()),
}


@pytest.mark.parametrize(("reference", "value"), VALUES.values(), ids=VALUES.keys())
def test_value_is_selected(reference: Any, value: Any) -> None:
    """A reference selects a field, one or all of its values, a property, or a text of the record."""
    assert select_value(reference, RECORD) == value


NO_VALUES = {
    "field": (FieldValue(DB, "pasword"), "the record has no such field; there are 5 others: 'empty', 'hosts', "),
    "similar field": (FieldValue(DB, "logn"), "the record has no such field; did you mean 'login'"),
    "custom field": (FieldValue(DB, "url", "custom_field"), "the record has no such field; there is one other: "),
    "index": (FieldValue(DB, "url", index=2), "index 2 of 2 values; indexes start at 0"),
    "property": (FieldValue(DB, "hosts", property="prt"), "its value has no property 'prt'; did you mean 'port'?"),
    "property of text": (FieldValue(DB, "login", property="x"), r"its value has no properties; remove \[x\]"),
    "property of no value": (FieldValue(DB, "empty", property="x"), r"its value has no properties; remove \[x\]"),
}


@pytest.mark.parametrize(("reference", "message"), NO_VALUES.values(), ids=NO_VALUES.keys())
def test_missing_value_is_an_error(reference: FieldValue, message: str) -> None:
    """The error names the record and the field, and suggests what exists."""
    with pytest.raises(SelectionError, match=f"^record 'Prod DB', field '{reference.field}': {message}"):
        select_value(reference, RECORD)


@pytest.mark.parametrize("file", ["server.key", "Key", "f2"], ids=["name", "title", "uid"])
def test_attachment_is_selected(file: str) -> None:
    """An attachment is found by name, title or UID."""
    assert select_file(FileContent(DB, file), RECORD).uid == "f2"


def test_missing_attachment_is_an_error() -> None:
    """The error for a missing attachment suggests similar names."""
    with pytest.raises(SelectionError, match=r"^record 'Prod DB': no file 'server\.crt' is attached; did you mean"):
        select_file(FileContent(DB, "server.crt"), RECORD)


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


def test_a_field_that_cannot_be_computed_is_not_empty() -> None:
    """The value alone, one of its values, and the whole record report the fault; other fields are selected."""
    fault = "record 'portal', field 'code': the one-time code cannot be computed"
    fields = (Field("code", "oneTimeCode", "code", (), fault=fault), Field("login", "login", "", ("lena",)))
    portal = Record("u", "portal", "login", fields)
    of = RecordName(("portal",))
    for reference in (
        WholeRecord(of),
        FieldValue(of, "code"),
        FieldValue(of, "code", index=0),
        FieldValue(of, "code", index=ALL_VALUES),
    ):
        with pytest.raises(UnreadableFieldError, match="cannot be computed"):
            select_value(reference, portal)
    assert select_value(FieldValue(of, "login"), portal) == "lena"


def test_an_unreadable_attachment_may_be_the_one_that_is_meant() -> None:
    """Its name is unknown, so the message does not say that no such file exists. A file that can be read is selected."""
    tls = Record("u", "tls", "file", (), "", (Attachment("f1", "a.pem"),), ("f2",))
    assert select_file(FileContent(RecordName(("tls",)), "a.pem"), tls).uid == "f1"
    with pytest.raises(UnreadableRecordError, match=r"no readable file 'b.pem' .* \(f2\); attach it again"):
        select_file(FileContent(RecordName(("tls",)), "b.pem"), tls)
