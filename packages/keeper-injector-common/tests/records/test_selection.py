"""Selecting values and attachments of a record."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from keeper_injector_common.errors import (
    SelectionError,
    UnreadableFieldError,
    UnreadableRecordError,
)
from keeper_injector_common.records import Attachment, Field, Record, links_to_records, named_fields
from keeper_injector_common.records.selection import select_files, select_value
from keeper_injector_common.references import (
    ALL_VALUES,
    FieldValue,
    FileContent,
    RecordName,
    RecordText,
    WholeRecord,
    parse_reference,
)


def name(*parts: str) -> RecordName:
    """Return the name of a record or folder."""
    return RecordName(parts)


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
    "standard field": (FieldValue(DB, "url", "custom_field"), "the record has no such custom field; write /field/ for"),
    "custom field": (
        FieldValue(DB, "x", "custom_field"),
        "the record has no such field; there is one other: 'login_2'",
    ),
    "index": (FieldValue(DB, "url", index=2), "index 2 of 2 values; indexes start at 0"),
    "property": (FieldValue(DB, "hosts", property="prt"), "its value has no property 'prt'; did you mean 'port'?"),
    "property of text": (FieldValue(DB, "login", property="x"), r"its value has no properties; remove \[x\]"),
    "property of no value": (FieldValue(DB, "empty", property="x"), "it has no value; enter one in Keeper"),
    "index of no value": (FieldValue(DB, "empty", index=0), "it has no value; enter one in Keeper"),
}


@pytest.mark.parametrize(("reference", "message"), NO_VALUES.values(), ids=NO_VALUES.keys())
def test_missing_value_is_an_error(reference: FieldValue, message: str) -> None:
    """The error names the record and the field, and suggests what exists."""
    with pytest.raises(SelectionError, match=f"^record 'Prod DB', field '{reference.field}': {message}"):
        select_value(reference, RECORD)


PHONES = Record(
    "u2",
    "phones",
    "contact",
    named_fields(
        [
            {"type": "phone", "value": [{"number": "1"}, {"ext": "2"}, None, "text", {"number": "3", "ext": "4"}]},
            {"type": "text", "label": "plain", "value": ["a", "b"]},
            {"type": "cardRef", "label": "company card", "value": ["CARD"]},
            {"type": "fileRef", "value": ["FILE"]},
        ],
        [{"type": "text", "label": "notes", "value": ["not the notes"]}, {"type": "addressRef", "value": []}],
    ),
    links=links_to_records(
        [{"type": "cardRef", "label": "company card", "value": ["CARD"]}, {"type": "fileRef", "value": ["FILE"]}],
        [{"type": "addressRef", "value": []}],
    ),
)


def select(text: str, record: Record = PHONES) -> Any:
    """Return what the text of a reference selects."""
    reference = parse_reference(text)
    assert not isinstance(reference, FileContent)
    return select_value(reference, record)


def test_a_property_of_all_values_skips_those_without_it() -> None:
    """Not every property of a value is required, and Keeper's SDKs skip values without it; if none has it, that is an error."""
    assert select("r[phone][][number]") == ["1", "3"]
    assert select("r[phone][][ext]") == ["2", "4"]
    with pytest.raises(SelectionError, match="its value has no property 'area'; there are 2 others: 'ext', 'number'"):
        select("r[phone][][area]")
    with pytest.raises(SelectionError, match=r"its value has no properties; remove \[area\]"):
        select("r[plain][][area]")
    assert select("keeper://r/field/empty[][x]", RECORD) == []


def test_notes_are_a_field_of_the_record() -> None:
    """They have one value or none, and a custom field of this name neither hides nor replaces them."""
    assert select("r[notes]", RECORD) == select("r[notes][0]", RECORD) == "a note"
    assert select("r[notes][]", RECORD) == ["a note"]
    with pytest.raises(SelectionError, match="index 1 of 1 values"):
        select("r[notes][1]", RECORD)
    assert select("r[notes]", attrs.evolve(RECORD, notes="")) == ""
    assert select("r[notes]", attrs.evolve(PHONES, notes="a note")) == "a note"
    assert select("r[notes_2]") == select("keeper://r/custom_field/notes") == "not the notes"
    with pytest.raises(SelectionError, match=r"the notes of the record are empty; write \[notes_2\] for its field$"):
        select("r[notes]")


LINKS = {
    "r[cardRef]": r"it refers to another record; share that with the application and use its UID \(CARD\)",
    "keeper://r/field/company card[cardNumber]": r"it refers to another record; .* UID \(CARD\)",
    "keeper://r/custom_field/addressRef": r"it refers to another record; .* UID \(empty\)",
    "r[fileRef]": "it refers to attached files; write keeper://RECORD/file/NAME",
    "keeper://r/field/addressRef": "the record has no such field; there are 2 others: 'phone', 'plain'",
}


@pytest.mark.parametrize("text", LINKS)
def test_a_link_says_what_it_refers_to(text: str) -> None:
    """A field that refers to another record has no value; the error says what to write instead."""
    with pytest.raises(SelectionError, match=f"^record 'phones', field '.*': {LINKS[text]}"):
        select(text)


def test_a_record_without_fields_says_so() -> None:
    """A missing field has nothing to do with sharing."""
    empty = attrs.evolve(PHONES, fields=(), links=())
    for text, none in {
        "r[x]": "no fields",
        "r/field/x": "no standard fields",
        "r/custom_field/x": "no custom fields",
    }.items():
        with pytest.raises(SelectionError, match=f"field 'x': the record has no such field; the record has {none}$"):
            select(text, empty)


@pytest.mark.parametrize("file", ["server.key", "Key", "f2"], ids=["name", "title", "uid"])
def test_attachment_is_selected(file: str) -> None:
    """An attachment is found by name, title or UID."""
    assert [item.uid for item in select_files(FileContent(DB, file), RECORD)] == ["f2"]


def test_missing_attachment_is_an_error() -> None:
    """The error for a missing attachment suggests similar names."""
    with pytest.raises(SelectionError, match=r"^record 'Prod DB': no file 'server\.crt' is attached; did you mean"):
        select_files(FileContent(DB, "server.crt"), RECORD)


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
    assert [item.uid for item in select_files(FileContent(RecordName(("tls",)), "a.pem"), tls)] == ["f1"]
    with pytest.raises(UnreadableRecordError, match=r"no readable file 'b.pem' .* \(f2\); attach it again"):
        select_files(FileContent(RecordName(("tls",)), "b.pem"), tls)
