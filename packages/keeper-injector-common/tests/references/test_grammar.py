"""Reading references."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import REFERENCES

from keeper_injector_common.errors import InvalidReferenceError
from keeper_injector_common.references import (
    ALL_VALUES,
    FieldValue,
    FileContent,
    RecordName,
    RecordText,
    Reference,
    WholeRecord,
    parse_file,
    parse_reference,
)

DB = RecordName(("db",))


def b64(notation: str) -> str:
    """Return a notation in base64url, as Keeper's SDKs also read it."""
    return base64.urlsafe_b64encode(notation.encode()).decode()


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("db", WholeRecord(DB)),
        ("db[password]", FieldValue(DB, "password")),
        ("db[hosts][1]", FieldValue(DB, "hosts", index=1)),
        ("db[address][city]", FieldValue(DB, "address", property="city")),
        ("db[phone][][number]", FieldValue(DB, "phone", index=ALL_VALUES, property="number")),
        ("keeper://db/field/password", FieldValue(DB, "password", "field")),
        ("KEEPER://db/FIELD/password", FieldValue(DB, "password", "field")),
        ("keeper://db/custom_field/API Key[0]", FieldValue(DB, "API Key", "custom_field", 0)),
        ("Prod/DB/mysql/field/password", FieldValue(RecordName(("Prod", "DB", "mysql")), "password", "field")),
        ("keeper://db/notes", RecordText(DB, "notes")),
        ("keeper://db/file/ca.pem", FileContent(DB, "ca.pem")),
        ("keeper://db/field/a/b[0]", FieldValue(DB, "a/b", "field", 0)),
        ("keeper://db/file/a/b.pem", FileContent(DB, "a/b.pem")),
        ("keeper://db/field/notes", FieldValue(DB, "notes", "field")),
        (b64("keeper://db/field/password[0]"), FieldValue(DB, "password", "field", 0)),
        (b64("db/notes"), RecordText(DB, "notes")),
        (b64("Ünïcode/file/a?>.pem"), FileContent(RecordName(("Ünïcode",)), "a?>.pem")),
        (b64("db/notes").rstrip("="), RecordText(DB, "notes")),
        (b64("keeper://db"), WholeRecord(RecordName((b64("keeper://db"),)))),
        (r"keeper://a\/b/field/x", FieldValue(RecordName(("a/b",)), "x", "field")),
        (r"we\[ird\]", WholeRecord(RecordName(("we[ird]",)))),
        ("Ünïcode 秘密", WholeRecord(RecordName(("Ünïcode 秘密",)))),
    ],
)
def test_a_reference_is_read(text: str, reference: Reference) -> None:
    """Titles, fields, folders and Keeper's notation are understood."""
    assert parse_reference(text) == reference


@pytest.mark.parametrize(
    ("text", "position", "expected"),
    [
        ("db[", 3, "']' is missing"),
        ("db]", 2, "this bracket is not escaped; write"),
        ("a//b", 2, "a name is missing here"),
        ("", 0, "a name is missing here"),
        (r"a\b", 1, "this backslash is not escaped; write"),
        ("db[]", 4, "write the name of a field"),
        ("a[b]c", 4, "nothing but '\\[' may follow"),
        ("keeper://db/file/x[0]", 21, "a file has no index"),
        ("db[a][b][c]", 11, r"write \[index\]"),
    ],
)
def test_an_error_points_at_the_fault(text: str, position: int, expected: str) -> None:
    """An error says where the fault is in the text, and what to write."""
    with pytest.raises(InvalidReferenceError, match=expected) as caught:
        parse_reference(text)
    assert caught.value.span[0] == position
    assert caught.value.pointed().splitlines()[1].index("^") == position


@given(REFERENCES)
def test_a_reference_survives_being_written_and_read(reference: Reference) -> None:
    """``parse(str(reference)) == reference`` for every reference."""
    assert parse_reference(str(reference)) == reference


@given(st.text(st.sampled_from("ab/[]:\\\0 .") | st.characters(), max_size=30))
def test_any_text_is_read_or_rejected(text: str) -> None:
    """Reading raises no exception but InvalidReferenceError."""
    try:
        reference = parse_reference(text)
    except InvalidReferenceError:
        return
    assert parse_reference(str(reference)) == reference


def test_a_file_is_named_by_a_colon_or_in_notation() -> None:
    """``record:file`` and a notation name the same file; a record alone is an error."""
    assert parse_file("TLS Certs:server.pem") == parse_file("keeper://TLS Certs/file/server.pem")
    with pytest.raises(InvalidReferenceError, match="no file is named; write record:file"):
        parse_file("TLS Certs")
