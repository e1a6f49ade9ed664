"""YAML documents: limits while parsing, and sections that report every problem with its path."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_injector_common import parsers
from keeper_injector_common.errors import Problem
from keeper_injector_common.parsers import InvalidValue
from keeper_injector_common.yaml_document import MAX_CHARACTERS, MAX_DEPTH, MAX_NODES, Section, load_yaml


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x [1]\nb: *x", "line 1 uses a YAML anchor or alias; write the value out"),
        ("a: 1\na: 2", "line 2 repeats the key 'a'; keep one"),
        ("? [a]\n: 1", "line 1 has a key that is not plain text; write a name"),
        ("[" * (MAX_DEPTH + 1), f"the document is nested more than {MAX_DEPTH} deep; flatten it"),
        (
            "x" * (MAX_CHARACTERS + 1),
            f"the document has {MAX_CHARACTERS + 1} characters; write at most {MAX_CHARACTERS}",
        ),
        ("a: [", "not valid YAML at line "),
        ("a: 1\n---\nb: 2", "not valid YAML at line 3: another document begins; write one document"),
        ("a: !!int 5", "line 1 uses the tag 'tag:yaml.org,2002:int'; remove it"),
        ("a: !x [1]", "line 1 uses the tag '!x'; remove it"),
        ("\0", "not valid YAML"),
        ("\ud800", "not valid YAML"),
        (f"[{'a,' * MAX_NODES}]", f"the document has more than {MAX_NODES} values; write a shorter one"),
    ],
)
def test_a_document_that_people_do_not_write_is_rejected(text: str, message: str) -> None:
    """The error says where the fault is and what to do."""
    with pytest.raises(InvalidValue) as caught:
        load_yaml(text)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0440", "0440"),
        ("1.10", "1.10"),
        ("12:30", "12:30"),
        ("1" + ":59" * 4000, "1" + ":59" * 4000),
        ("9" * 5000, "9" * 5000),
        ("2026-13-45", "2026-13-45"),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        (".inf", ".inf"),
        ("1e999", "1e999"),
        ("+5", "+5"),
        ("<<", "<<"),
        ("=", "="),
        ("5", 5),
        ("-17", -17),
        ("yes", True),
        ("Off", False),
        ("~", None),
        ("'5'", "5"),
        ("!!str 5", "5"),
    ],
)
def test_a_text_stays_as_it_is_written(text: str, value: object) -> None:
    """Only nulls, booleans and whole numbers in their usual form have another type, so that no digit of a text is lost."""
    assert load_yaml(f"a: {text}") == {"a": value}


@given(st.text("ab:-[]{}&*!|> \n'\"#?%@0", max_size=40))
def test_any_text_is_parsed_or_rejected(text: str) -> None:
    """Parsing raises no exception but InvalidValue."""
    try:
        load_yaml(text)
    except InvalidValue:
        return


def section(content: dict[str, object]) -> tuple[Section, list[Problem]]:
    """Return a section, and the list of its problems."""
    problems: list[Problem] = []
    return Section(content, "document: ", problems), problems


def test_a_section_reads_keys_of_every_type() -> None:
    """A number is read as text, a word as a boolean and a single text as a list."""
    found, problems = section(
        {"a": 5, "b": "yes", "c": "x", "d": {"k": 1}, "e": [{"f": "g"}], "h": {"i": "j"}, "k": None, "l": True}
    )
    assert found.text("a", parsers.text) == "5"
    assert found.switch("b", default=False) is True
    assert found.texts("c", parsers.text) == ("x",)
    assert found.pairs("d", parsers.text) == {"k": "1"}
    assert [item.text("f", parsers.text) for item in found.mappings("e")] == ["g"]
    assert found.mapping("h", lambda inner: inner.text("i", parsers.text)) == "j"
    assert found.text("k", parsers.text) is None
    assert found.scalar("l") == "true"
    found.finish()
    assert problems == []


def test_missing_keys_are_not_problems() -> None:
    """Reading a missing key returns nothing, an empty value or the default."""
    found, problems = section({})
    assert (found.text("a", parsers.text), found.texts("a", parsers.text), found.pairs("a", parsers.text)) == (
        None,
        None,
        {},
    )
    assert (found.switch("a", default=True), list(found.mappings("a")), found.mapping("a", bool)) == (True, [], None)
    assert problems == []


def test_every_problem_is_reported_with_its_path() -> None:
    """Values of another type, invalid values and unknown keys are reported at once."""
    found, problems = section(
        {
            "text": [1],
            "switch": "maybe",
            "texts": ["a", {}, ""],
            "pairs": {"a": ""},
            "inner": {"mode": "0777", "mod": 1},
            "list": ["a", {"b": True}],
            "other": 1,
            "alias": "x",
            "name": "y",
        }
    )
    found.text("text", parsers.text)
    found.switch("switch", default=False)
    found.texts("texts", parsers.text)
    found.pairs("pairs", parsers.text)
    found.mapping("inner", lambda inner: inner.text("mode", parsers.file_mode))
    for item in found.mappings("list"):
        item.text("b", parsers.text)
    found.text("name", parsers.text, "alias")
    found.finish()
    assert [str(problem).removeprefix("document: ").partition(";")[0] for problem in problems] == [
        "text: a list found",
        "switch: 'maybe' is neither true nor false",
        "texts[1]: a mapping found",
        "texts[2]: the value is empty",
        "pairs.a: the value is empty",
        "inner.mode: '0777' lets every user write the file",
        "inner.mod: unknown key",
        "list[0]: text found",
        "list[1].b: a boolean found",
        "alias: the same as 'name'",
        "other: unknown key",
    ]


def test_unread_keys_are_known() -> None:
    """A section tells which keys are left, as long as they are not read."""
    found, _ = section({"a": 1, "b": None})
    assert (found.unread(), found.has("a"), found.has("b")) == (["a", "b"], True, False)
    found.text("a", parsers.text)
    assert (found.unread(), found.has("a", "b")) == (["b"], False)
