"""Records: unique field names, values as files show them, and nothing secret in ``repr``."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_injector_common.records import Attachment, Field, Record, links_to_records, named_fields

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
    """A field that links to another record has no value that an application could use."""
    linked = {"type": link, "value": ["uid"]}
    assert named_fields([linked], []) == ()
    assert links_to_records([linked], []) == (Field(link, link, "", ("uid",)),)


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
    """Notes that are not empty are the last named value."""
    login = Field("login", "login", "", ("admin",))
    assert list(Record("u", "t", "login", (login,), notes="n").named_values().items()) == [
        ("login", "admin"),
        ("notes", "n"),
    ]
    assert Record("u", "t", "login", (login,)).named_values() == {"login": "admin"}


def test_a_field_called_notes_does_not_hide_the_notes() -> None:
    """Its name has a number, whether or not the record has notes, so that adding notes changes no other value."""
    fields = named_fields([], [{"type": "text", "label": "notes", "value": ["a field"]}])
    assert Record("u", "t", "login", fields, notes="n").named_values() == {"notes": "n", "notes_2": "a field"}
    assert Record("u", "t", "login", fields).named_values() == {"notes_2": "a field"}


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["region", "region", "region_2"], ["region", "region_3", "region_2"]),
        (["region_2", "region", "region"], ["region_2", "region", "region_3"]),
        (["a", "a", "a_2", "a_2"], ["a", "a_3", "a_2", "a_2_2"]),
        (["notes", "notes_2", "notes"], ["notes_3", "notes_2", "notes_4"]),
        (["", "field", ""], ["text", "field", "text_2"]),
    ],
)
def test_a_number_is_never_the_label_of_another_field(labels: list[str], names: list[str]) -> None:
    """The first field with a label has it as its name, and numbers are only for names that no field has."""
    assert [field.name for field in named_fields([], [{"type": "text", "label": label} for label in labels])] == names


LABELS = st.lists(st.sampled_from(["a", "a_2", "a_2_2", "a_3", "notes", "notes_2"]), max_size=8)


@given(LABELS, LABELS)
def test_the_first_field_of_a_label_has_it_as_its_name(standard: list[str], custom: list[str]) -> None:
    """Names are unique, and every label names the first field that has it; only notes are the record's."""
    fields = named_fields([{"type": label} for label in standard], [{"label": label} for label in custom])
    labels = [*standard, *custom]
    assert len({field.name for field in fields} | {"notes"}) == len(labels) + 1
    for label in set(labels) - {"notes"}:
        assert fields[labels.index(label)].name == label


def test_many_fields_of_one_label_take_little_time() -> None:
    """All numbers are found in one pass."""
    started = time.process_time()
    fields = named_fields([], [{"label": "a"}] * 20_000)
    assert fields[-1].name == "a_20000"
    assert time.process_time() - started < 2


def test_repr_contains_no_value() -> None:
    """Neither values nor notes appear when a record is printed."""
    field = Field("password", "password", "", (SECRET,))
    record = Record("u", "t", "login", (field,), notes=SECRET, attachments=(Attachment("f", "key.pem"),))
    assert SECRET not in f"{field!r} {record!r} {record}"
