"""The pages that show files show what the code writes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from keeper_injector_common.errors import TemplateError
from keeper_injector_common.records import templates
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
