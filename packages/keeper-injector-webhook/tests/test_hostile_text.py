"""Names and values in manifests, plans and records cannot control the terminal of the person who runs a command."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper_injector_common.cli import main

PARTS = [
    "\x1b[31m",
    "\x1b]0;t\x07",
    "\x9b2J",
    "\u202e",
    "\u2028",
    "\n",
    "\r",
    "\0",
    "\x7f",
    "\x85",
    "\xad",
    "\ud800",
    "a",
    "ü",
    "db",
]
TEXTS = st.lists(st.sampled_from(PARTS), min_size=1, max_size=3).map("".join)
PRINTED = TEXTS.map(lambda text: text.replace("\ud800", "b"))
"""Sample records cannot have a lone surrogate."""
COMMANDS = (
    ("lint",),
    *(("lint", "-o", form) for form in ("json", "github", "sarif")),
    ("explain",),
    ("explain", "-o", "json"),
    *(("preview", shown) for shown in ("--diff", "--patch", "--plan")),
    ("preview", "-o", "json"),
)


def run(*arguments: str) -> str:
    """Return everything that a command prints. It must be text that a terminal can show."""
    shown = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="")
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
        code = main(arguments)
    shown.flush()
    shown.seek(0)
    assert code in {0, 1, 2}
    return shown.read()


def manifest(hostile: str, place: str) -> str:
    """Return a Pod with *hostile* text in one place; JSON has an escape for every character."""

    def at(name: str, usual: str) -> str:
        return hostile if name == place else usual

    annotations = {
        "keeper.security/inject": "true",
        "keeper.security/secret": at("record", "db"),
        "keeper.security/secret-a": "db:" + at("path", "/app/a.txt"),
        "keeper.security/template-a": at("template", "{{ .login }}"),
        "keeper.security/refresh-interval": at("value", "5m"),
        "keeper.security/" + at("key", "log-level"): "info",
        "keeper.security/env-PW": "db[" + at("field", "password") + "]",
        "keeper.security/config": json.dumps({"secrets": [{"record": at("document", "db"), "path": "/keeper/x"}]}),
    }
    containers = [{"name": at("container", "app"), "image": at("image", "app"), "command": ["/app"]}]
    metadata = {"name": at("name", "web"), "annotations": annotations}
    return json.dumps({"kind": at("kind", "Pod"), "metadata": metadata, "spec": {"containers": containers}})


PLACES = ("record", "path", "template", "value", "key", "field", "document", "container", "image", "name", "kind")


@pytest.mark.parametrize("place", PLACES)
@settings(max_examples=8)
@given(hostile=TEXTS, command=st.sampled_from(COMMANDS))
def test_no_command_prints_control_characters_of_a_manifest(place: str, hostile: str, command: tuple[str, ...]) -> None:
    """Every character but the line break is printable, and a line break in a name does not begin another line of output."""
    with TemporaryDirectory() as directory:
        file = Path(directory, "pod.json")
        file.write_text(manifest(hostile, place), encoding="utf-8")
        output = run(*command, str(file))
    assert output.replace("\n", "").isprintable()
    if command == ("lint",):
        for line in output.splitlines():
            assert line.startswith((f"{file}:", "keeper-injector: ", "1 workload,", "0 workloads,"))


@settings(max_examples=15)
@given(hostile=TEXTS)
def test_file_names_are_neutralised(hostile: str) -> None:
    """A pull request chooses the names of its files."""
    name = hostile.replace("\0", "").replace("\ud800", "") or "a"
    with TemporaryDirectory() as directory:
        file = Path(directory, f"{name}.yaml")
        for text in ("a: [", "kind: Pod\nmetadata: [1]\n", manifest("5x", "value")):
            file.write_text(text, encoding="utf-8")
            for command in (*COMMANDS, ("migrate",)):
                output = run(*command, str(file)).replace(text, "")
                assert output.replace("\n", "").isprintable()


@settings(max_examples=15)
@given(title=PRINTED, value=PRINTED)
def test_render_prints_no_control_characters(title: str, value: str) -> None:
    """The files of records with any title and content are shown with escapes; tabs and line breaks stay."""
    file = {"name": "a", "sources": ["db[password]"], "format": "raw", "mode": "0400"}
    folder = {"folder": "Prod", "mode": "0400", "format": "json"}
    plan = {
        "version": 1,
        "credentials": {"method": "secret", "path": "/keeper/credentials/config"},
        "state": "/keeper/state",
        "refreshInterval": 300.0,
        "failOnError": True,
        "volumeSize": 16777216,
        "directories": [{"path": "/keeper/volumes/a", "target": "/app", "files": [file], "folders": [folder]}],
    }
    records = {"records": [{"title": "db", "folder": "Prod", "fields": {"password": value}}, {"title": f"x{title}"}]}
    with TemporaryDirectory() as directory:
        plan_file, records_file = Path(directory, "plan.json"), Path(directory, "records.yaml")
        plan_file.write_text(json.dumps(plan), encoding="utf-8")
        records_file.write_text(json.dumps(records), encoding="utf-8")
        output = run("render", "--plan", str(plan_file), "--records", str(records_file))
    assert "==> /app/a (0400)" in output
    assert output.replace("\n", "").replace("\t", "").isprintable()


@settings(max_examples=15)
@given(hostile=TEXTS)
def test_messages_of_migrate_are_neutralised(hostile: str) -> None:
    """What migrate reports about a manifest cannot control a terminal. The manifest itself is printed as it was written."""
    annotations = {"vault.hashicorp.com/agent-inject": "true", f"vault.hashicorp.com/{hostile}": hostile}
    text = json.dumps({"kind": "Pod", "metadata": {"name": hostile, "annotations": annotations}}, indent=1)
    with TemporaryDirectory() as directory:
        file = Path(directory, "pod.json")
        file.write_text(text, encoding="utf-8")
        assert run("migrate", str(file)).replace("\n", "").isprintable()
