"""Any title and any folder can be named, with the escapes that the documentation describes."""

from __future__ import annotations

import pytest
import yaml
from annotation_requests import request_of
from hypothesis import given
from hypothesis import strategies as st

from keeper_injector_common.annotations.request import InjectionRequest
from keeper_injector_common.errors import InvalidReferenceError
from keeper_injector_common.plan.scalars import FOLDER, WHOLE_RECORD
from keeper_injector_common.records import Folder, Library, Record
from keeper_injector_common.references import (
    FileContent,
    RecordName,
    RecordText,
    WholeRecord,
    parse_file,
    parse_folder,
    parse_reference,
)

SELECTORS = ("type", "title", "notes", "field", "custom_field", "file")
UID = "Cd-7_8w3nTKyT0mEDgcbQg"
NAMES = (
    st.sampled_from([*SELECTORS, "Notes", "keeper:", "a:b/c.d", "x\\", " "])
    | st.from_regex(r"[ /\[\]:,\\.\t\u00a0\u2003aé]{1,6}", fullmatch=True)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=6)
)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(tuple)


def escaped(path: tuple[str, ...]) -> str:
    """Write a path as the documentation says: a backslash before special characters, outer blanks and selectors."""
    parts = []
    for position, name in enumerate(path):
        ends = {0, len(name) - 1}
        part = "".join(
            f"\\{char}" if char in "/[]:,\\" or (char.isspace() and index in ends) else char
            for index, char in enumerate(name)
        )
        parts.append(f"\\{part}" if position and name.lower() in SELECTORS else part)
    return "/".join(parts)


def sources(request: InjectionRequest) -> list[object]:
    """Return what the files of a request are made of."""
    return [source for file in request.files for source in file.sources]


@given(PATHS, PATHS)
def test_every_path_can_be_written(path: tuple[str, ...], other: tuple[str, ...]) -> None:
    """In single annotations with and without the path of a file, in lists, in the configuration, and in plans."""
    name, text = RecordName(path), escaped(path)
    record, config = WholeRecord(name), {"secrets": [{"record": text, "path": "/app/x"}], "folders": [{"path": text}]}
    assert parse_reference(text) == record
    assert sources(request_of(secret_x=f"{text}:/app/x")) == [record]
    assert sources(request_of(secret_x=f" {text} :/app/x")) == [record]
    if other != path:
        both = request_of(secrets=f" {escaped(other)}:/app/x , {text}:/app/y ")
        assert sources(both) == [WholeRecord(RecordName(other)), record]
    assert [item.folder for item in request_of(folder=f"/{text}/").folders] == [name]
    configured = request_of(config=yaml.safe_dump(config))
    assert (sources(configured), [item.folder for item in configured.folders]) == ([record], [name])
    assert WHOLE_RECORD.read(WHOLE_RECORD.write(record)) == record
    assert FOLDER.read(FOLDER.write(name)) == name


@given(NAMES, PATHS)
def test_every_file_can_be_written(file: str, path: tuple[str, ...]) -> None:
    """After a colon, and in Keeper's notation."""
    wanted = FileContent(RecordName(path), file)
    assert parse_file(f"{escaped(path)}:{escaped((file,))}") == wanted
    assert parse_file(f"keeper://{escaped(path)}/file/{escaped((file,))}") == wanted
    assert parse_file(str(wanted)) == parse_reference(str(wanted)) == wanted


@given(
    st.lists(st.tuples(NAMES | st.just(""), st.lists(NAMES, max_size=2).map(tuple)), max_size=4), st.text(max_size=5)
)
def test_every_record_can_be_named(others: list[tuple[str, tuple[str, ...]]], title: str) -> None:
    """Whatever its title and folders are: by its UID always, and by its path unless another record has the same one."""
    records = [
        Record(f"uid-{number}", name, "login", (), folders=(Folder(folder, folder),) if folder else ())
        for number, (name, folder) in enumerate(others)
    ]
    record = Record(UID, title, "login", ())
    library = Library((*records, record))
    for strict in (False, True):
        assert library.find(RecordName((UID,)), strict=strict) is record
    for item, (name, folder) in zip(records, others, strict=True):
        if name:
            wanted = parse_reference(escaped((*folder, name)))
            assert isinstance(wanted, WholeRecord)
            assert item in library.matches(wanted.record, strict=True)


@pytest.mark.parametrize(
    ("text", "record"),
    [
        (r"Prod/\notes", WholeRecord(RecordName(("Prod", "notes")))),
        (r"Prod/\Notes", WholeRecord(RecordName(("Prod", "Notes")))),
        ("Prod/Notes", RecordText(RecordName(("Prod",)), "notes")),
        (r"a/\field/b", WholeRecord(RecordName(("a", "field", "b")))),
        (r"a/\file/notes", RecordText(RecordName(("a", "file")), "notes")),
        (r"\ db\ ", WholeRecord(RecordName((" db ",)))),
        (r"\ ", WholeRecord(RecordName((" ",)))),
    ],
)
def test_escapes_of_selectors_and_blanks(text: str, record: object) -> None:
    """A selector after a backslash is a name, and so is a blank."""
    assert parse_reference(text) == record


def test_a_folder_may_have_the_name_of_a_selector() -> None:
    """The path of a folder has no selectors, so that nothing needs to be escaped."""
    assert parse_folder("Prod/Notes") == parse_folder(r"/Prod/\Notes//") == RecordName(("Prod", "Notes"))
    assert parse_folder("a/field/b") == RecordName(("a", "field", "b"))
    assert parse_folder(r"a\/") == RecordName(("a/",))
    with pytest.raises(InvalidReferenceError, match="a folder has no fields; write a bracket in its name as"):
        parse_folder("a[b]")


@pytest.mark.parametrize("text", [r"a\b", r"a\notes", r"a/\notesx", r"a/\n", "a\\"])
def test_other_letters_have_no_escape(text: str) -> None:
    """A backslash before a letter is an error unless a whole selector follows, so that a typo means nothing else."""
    with pytest.raises(InvalidReferenceError, match="this backslash is not escaped"):
        parse_reference(text)
