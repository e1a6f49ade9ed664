"""The pages that show files show what the code writes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from keeper_injector_common.annotations.parser import parse_request
from keeper_injector_common.errors import TemplateError
from keeper_injector_common.plan.model import FileItem
from keeper_injector_common.records import Field, Library, Record, Renderer, templates
from keeper_injector_common.records.templates.quoting import quoting_function_for

DOCS = Path(__file__).parents[2] / "docs"
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
