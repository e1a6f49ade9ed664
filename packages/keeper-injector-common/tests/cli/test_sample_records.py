"""``keeper-injector render``: sample records that the user writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import run
from sample_inputs import PLAN


@pytest.mark.parametrize(
    ("sample", "code", "message"),
    [
        ("records: []", 2, "not a list of records; write records: and a title for each"),
        ("records: [{}]", 2, "records[0]: a record has no title"),
        ("records: [{title: a, filds: {}}]", 2, "records[0].filds: unknown key; the keys of a record are title, uid"),
        ("records: [{title: a, fields: x}]", 2, "records[0].fields: not a mapping"),
        (
            "records: [{title: dbb}]",
            1,
            "/app/db.env: record 'db': not shared with this application; did you mean 'dbb'?",
        ),
    ],
    ids=["nothing", "no title", "unknown key", "wrong type", "another record"],
)
def test_invalid_records_are_reported(sample: str, code: int, message: str, tmp_path: Path) -> None:
    """A problem is reported with its position in the file, and the other files are still made."""
    (tmp_path / "plan.json").write_text(json.dumps(PLAN), encoding="utf-8")
    found = run("render", "--plan", str(tmp_path / "plan.json"), "--records", "-", text=sample)
    assert (found.code, message in found.errors, "Traceback" in found.errors) == (code, True, False)
