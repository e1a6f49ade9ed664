"""``keeper-injector render``: makes the files of a plan from sample records."""

from __future__ import annotations

import json
from pathlib import Path

from command_line import run
from sample_inputs import PLAN

RECORDS = """\
records:
  - title: db
    fields: { login: app, password: made-up, host: { hostName: h } }
  - title: TLS
    files: { server.pem: "made-up certificate" }
  - title: inner
    folder: Prod/DB
    custom: { Environment: production }
"""


def test_a_plan_is_rendered(tmp_path: Path) -> None:
    """Files, templates, attachments, folders and variables are made as the agent makes them."""
    (tmp_path / "plan.json").write_text(json.dumps(PLAN), encoding="utf-8")
    (tmp_path / "sample.yaml").write_text(RECORDS, encoding="utf-8")
    arguments = ("render", "--plan", str(tmp_path / "plan.json"), "--records", str(tmp_path / "sample.yaml"))
    found = run(*arguments)
    assert (found.code, found.errors) == (0, "")
    assert found.output == (
        "==> /app/db.env (0400)\nLOGIN=app\nPASSWORD=made-up\nHOST_HOSTNAME=h\n"
        "==> /app/dsn (0400)\napp@h\n"
        "==> /app/cert (0444)\nmade-up certificate\n"
        '==> /app/all/inner.json (0400)\n{\n  "Environment": "production"\n}\n'
        "==> /keeper/volumes/keeper-env-0: variables (0400)\nDB_LOGIN=app\nPW=made-up\n"
    )
    assert run(*arguments, "--output", str(tmp_path / "out")).code == 0
    assert (tmp_path / "out/app/dsn").read_text(encoding="utf-8") == "app@h"


def test_an_output_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """If the output directory is a file, the command ends with exit code 2 and says what to do."""
    (tmp_path / "plan.json").write_text(json.dumps(PLAN), encoding="utf-8")
    (tmp_path / "out").write_text("", encoding="utf-8")
    arguments = ("render", "--plan", str(tmp_path / "plan.json"), "--records", "-", "--output", str(tmp_path / "out"))
    found = run(*arguments, text=RECORDS)
    assert (found.code, found.output, "Traceback" in found.errors) == (2, "", False)
    assert "; choose a directory that can be written\n" in found.errors
