"""Records: unique field names, values as files show them, and nothing secret in ``repr``."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_injector_common.records import Attachment, Field, Record, named_fields

SECRET = "s3ntinel-9f2c"
FIELDS = st.lists(
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(["login", "password", "text", "fileRef", ""]),
            "label": st.sampled_from(["", "login", "login_2", "API key"]),
            "value": st.lists(st.text(max_size=3), max_size=2),
        }
    ),
    max_size=6,
)


def test_field_is_named_by_label_or_type() -> None:
    """The name of a field is its label or, without one, its type; later fields of the same name are numbered."""
    standard = [
        {"type": "login", "value": ["admin"]},
        {"type": "url", "label": "login", "value": ["https://a.example"]},
        {"type": "login", "value": []},
        {"value": ["no type"]},
    ]
    fields = named_fields(standard, [{"type": "text", "label": "API key", "value": ["k"]}])
    assert [field.name for field in fields] == ["login", "login_2", "login_3", "field", "API key"]
    assert [field.custom for field in fields] == [False] * 4 + [True]


@pytest.mark.parametrize("link", ["fileRef", "cardRef", "addressRef", "recordRef"])
def test_links_to_other_records_are_left_out(link: str) -> None:
    """A field that links to another record is not a field of the record."""
    assert named_fields([{"type": link, "value": ["uid"]}], []) == ()


@given(FIELDS, FIELDS)
def test_names_are_unique_and_no_field_is_lost(standard: list[dict[str, Any]], custom: list[dict[str, Any]]) -> None:
    """Every field that is not a link appears once, in order, with a name that no other field has."""
    fields = named_fields(standard, custom)
    assert len({field.name for field in fields}) == len(fields)
    kept = [item for item in [*standard, *custom] if item["type"] != "fileRef"]
    assert [list(field.values) for field in fields] == [item["value"] for item in kept]


@pytest.mark.parametrize(
    ("raw", "value"), [([], ""), (["a"], "a"), (["a", "b"], ["a", "b"]), ([None], None), (None, ""), ("plain", "plain")]
)
def test_value_is_plain_if_there_is_one(raw: Any, value: Any) -> None:
    """A field shows one value as it is, several as a list, and none as empty text."""
    (field,) = named_fields([{"type": "text", "value": raw}], [])
    assert field.value == value


def test_notes_follow_the_fields() -> None:
    """Notes are the last named value; empty notes and a field called notes keep them out."""
    login = Field("login", "login", "", ("admin",))
    notes = Field("notes", "text", "notes", ("a field",))
    assert list(Record("u", "t", "login", (login,), notes="n").named_values().items()) == [
        ("login", "admin"),
        ("notes", "n"),
    ]
    assert Record("u", "t", "login", (login,)).named_values() == {"login": "admin"}
    assert Record("u", "t", "login", (notes,), notes="n").named_values() == {"notes": "a field"}


def test_repr_contains_no_value() -> None:
    """Neither values nor notes appear when a record is printed."""
    field = Field("password", "password", "", (SECRET,))
    record = Record("u", "t", "login", (field,), notes=SECRET, attachments=(Attachment("f", "key.pem"),))
    assert SECRET not in f"{field!r} {record!r} {record}"
