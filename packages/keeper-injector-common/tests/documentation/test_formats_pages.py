"""The pages that show files show what the code writes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from keeper_injector_common.annotations.parser import parse_request
from keeper_injector_common.annotations.request import format_for
from keeper_injector_common.cli.sample_records import parse_samples
from keeper_injector_common.errors import FormatError, TemplateError
from keeper_injector_common.plan.delivery import FORMATS, Formatted
from keeper_injector_common.plan.model import FileItem
from keeper_injector_common.records import Field, Library, Record, Renderer, templates
from keeper_injector_common.records.formats import RecordContent, write_content
from keeper_injector_common.records.templates.quoting import quoting_function_for
from keeper_injector_common.references import parse_reference

DOCS = Path(__file__).parents[2] / "docs"
FORMATS_PAGE = (DOCS / "formats.md").read_text(encoding="utf-8")
QUOTING = re.findall(
    r"^\| `(\.\w+)`[^|]* \| `(.*?)` \| (.*?) \|$",
    (DOCS / "configuration.md").read_text(encoding="utf-8").replace("\\|", "|"),
    re.MULTILINE,
)


@pytest.mark.parametrize(("suffix", "source", "shown"), QUOTING, ids=[row[0] for row in QUOTING])
def test_the_table_of_quoting_functions_is_right(suffix: str, source: str, shown: str) -> None:
    """Each row has the function for its suffix, and shows what that function writes or that it fails."""
    assert f"| {quoting_function_for(f'/app/file{suffix}')} }}}}" in source
    try:
        written = f"`{templates.render_template(source, {'password': 'p' + chr(92) + 'a:ss#='})}`"
    except TemplateError:
        written = "an error"
    assert shown.startswith(written)


def test_the_table_of_quoting_functions_is_complete() -> None:
    """The table has seven rows."""
    assert len(QUOTING) == 7


def test_the_example_of_names_writes_the_file_that_is_shown() -> None:
    """The pod of a Spring Boot application gets the file beside it."""
    section = (
        (DOCS / "configuration.md").read_text(encoding="utf-8").partition("## Names in a file")[2].partition("\n## ")[0]
    )
    (manifest, shown) = re.findall(r"```\w+\n(.*?)```", section, re.DOTALL)
    (file,) = parse_request(yaml.safe_load(manifest)["metadata"]["annotations"]).files
    values = {"login": "shop", "password": "correct-horse-battery", "url": "other"}
    fields = tuple(Field(name, name, "", (value,)) for name, value in values.items())
    renderer = Renderer(
        Library((Record("u", "database-credentials", "login", fields),)),
        False,
        lambda *_: b"",
        templates.render_template,
    )
    assert renderer.render_file(FileItem("file", file.sources, file.content, 0o400)).decode() == shown
    assert f"file:{file.path}" in manifest


SHOWN = dict(
    re.findall(r"^### `(\w+)`\n\n[^`]*?(?:`[^`\n]+`[^`]*?)*```\w+\n(.*?)```$", FORMATS_PAGE, re.MULTILINE | re.DOTALL)
)


def test_every_format_is_shown() -> None:
    """Each format has a heading, in the order of the code, and a file unless that is binary."""
    assert re.findall(r"^### `(\w+)`", FORMATS_PAGE, re.MULTILINE) == list(FORMATS)
    assert SHOWN.keys() == FORMATS.keys() - {"pkcs12"}


@pytest.mark.parametrize(("name", "shown"), SHOWN.items(), ids=SHOWN.keys())
def test_a_file_is_what_the_agent_writes(name: str, shown: str) -> None:
    """The sample record in each format gives the text of the page; only raw has no line break at the end.

    Formats of variables need the list of fields that the page shows.
    """
    section = FORMATS_PAGE.partition(f"### `{name}`")[2].partition("\n### ")[0]
    listed = re.search(r"needs `fields: \[(.*?)\]`", section)
    fields = tuple(listed[1].split(", ")) if listed else ()
    (sample,) = re.findall(r"```yaml\n(records:.*?)```", FORMATS_PAGE, re.DOTALL)
    samples = parse_samples("formats.md", sample)
    renderer = Renderer(samples.library, False, samples.download, templates.render_template)
    source = parse_reference("database-credentials[password]" if name == "raw" else "database-credentials")
    written = renderer.render_file(FileItem("file", (source,), Formatted(name, fields), 0o400)).decode()
    assert written == shown.removesuffix("\n" if name == "raw" else "")


def test_suffixes_choose_the_formats_that_the_page_says() -> None:
    """Each suffix in a section chooses the format of the section."""
    sections = re.findall(r"^### `(\w+)`\n(.*?)(?=^##)", FORMATS_PAGE, re.MULTILINE | re.DOTALL)
    record = parse_reference("db")
    for name, text in sections:
        (listed,) = re.findall(r"Suffix: (.*?)\.$", text, re.MULTILINE) or ("",)
        for suffix in re.findall(r"`(\.\w+)`", listed):
            assert format_for(f"/app/file{suffix}", record) == name


NEEDS = re.findall(r"^\| [^|]+ \| `keeper\.security/([\w-]+): ([^`]+)`", FORMATS_PAGE, re.MULTILINE)


@pytest.mark.parametrize(("name", "value"), NEEDS, ids=map("=".join, NEEDS))
def test_what_the_page_says_to_write_is_accepted(name: str, value: str) -> None:
    """Each annotation asks for one delivery, with the file or variable of its row."""
    more = {"k8s-secret-name": "db", "secret": "db"} if name == "inject-as-k8s-secret" else {}
    annotations = {"inject": "true", **more, name: value.strip('"')}
    request = parse_request({f"keeper.security/{key}": text for key, text in annotations.items()})
    assert request.warnings == ()
    paths = {file.path for file in request.files}
    kinds = {
        "env": [variable.name for variable in request.variables if hasattr(variable, "name")] == [name[4:]],
        "folder": len(request.folders) == 1,
        "inject": len(request.kubernetes_secrets) == 1,
    }
    assert kinds.get(name.partition("-")[0], paths == {f"/{value.rpartition(':/')[2]}"})


def test_every_row_of_what_to_write_is_tried() -> None:
    """Eight rows of the table are an annotation."""
    assert len(NEEDS) == 8


UNWRITABLE = re.findall(r"^\| `(\w+)` \| [^|]+ \| `([^`]+)` \|$", FORMATS_PAGE, re.MULTILINE)


@pytest.mark.parametrize(("name", "example"), UNWRITABLE, ids=[name for name, _ in UNWRITABLE])
def test_a_value_that_a_format_cannot_hold_is_an_error(name: str, example: str) -> None:
    """The example of each row is an error of its format, and can be delivered as JSON."""
    content = RecordContent("record", {"value": json.loads(example)})
    with pytest.raises(FormatError):
        write_content(name, content)
    assert json.loads(write_content("json", content)) == content.fields


def test_every_format_that_rejects_values_of_a_field_is_listed() -> None:
    """The rows of the table are the formats that can reject a single value."""
    assert [name for name, _ in UNWRITABLE] == ["env", "ini", "shell", "toml"]
