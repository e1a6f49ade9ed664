"""References: what a secret is called, as text and as a value."""

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
    split_target,
)

DB = RecordName(("db",))


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
        (r"keeper://a\/b/field/x", FieldValue(RecordName(("a/b",)), "x", "field")),
        (r"we\[ird\]", WholeRecord(RecordName(("we[ird]",)))),
        ("Ünïcode 秘密", WholeRecord(RecordName(("Ünïcode 秘密",)))),
    ],
)
def test_reading(text: str, reference: Reference) -> None:
    """Titles, fields, folders and Keeper's notation are read as written."""
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
def test_faults_are_pointed_at(text: str, position: int, expected: str) -> None:
    """An error says where in the text and what would be right."""
    with pytest.raises(InvalidReferenceError, match=expected) as caught:
        parse_reference(text)
    assert caught.value.span[0] == position
    assert caught.value.pointed().splitlines()[1].index("^") == position


@given(REFERENCES)
def test_what_is_written_is_read_back(reference: Reference) -> None:
    """``parse(str(reference)) == reference`` for every reference."""
    assert parse_reference(str(reference)) == reference


@given(st.text(st.sampled_from("ab/[]:\\\0 .") | st.characters(), max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text raises anything but the declared error."""
    try:
        reference = parse_reference(text)
    except InvalidReferenceError:
        return
    assert parse_reference(str(reference)) == reference


@pytest.mark.parametrize(
    ("value", "target"),
    [
        ("db:/app/db.json", ("db", "/app/db.json")),
        ("db", ("db", None)),
        ("db:prod", ("db:prod", None)),
        ("keeper://UID/field/password:/app/pw", ("keeper://UID/field/password", "/app/pw")),
        ("keeper://UID/field/password", ("keeper://UID/field/password", None)),
        ("db[a:/b]:/app/x", ("db[a:/b]", "/app/x")),
    ],
)
def test_a_path_follows_the_last_colon_before_a_slash(value: str, target: tuple[str, str | None]) -> None:
    """The path is optional, and colons in names and fields are not its divider."""
    assert split_target(value) == target


def test_files_are_named_by_colon_or_notation() -> None:
    """``record:file`` and notation name the same file; a record alone is an error."""
    assert parse_file("TLS Certs:server.pem") == parse_file("keeper://TLS Certs/file/server.pem")
    with pytest.raises(InvalidReferenceError, match="no file is named; write record:file"):
        parse_file("TLS Certs")
