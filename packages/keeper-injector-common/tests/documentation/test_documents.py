"""Documents say what the code does."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from keeper_injector_common.cli.commands import COMMANDS
from keeper_injector_common.cli.program import build_parser
from local_keeper import LocalKeeper

ROOT = Path(__file__).parents[4]
FENCED = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(path: str, language: str) -> list[str]:
    """Return the fenced blocks of a document."""
    text = (ROOT / path).read_text(encoding="utf-8")
    return [content for kind, content in FENCED.findall(text) if kind == language]


def test_the_library_example_prints_what_it_says() -> None:
    """The README of common runs."""
    (example,) = blocks("packages/keeper-injector-common/README.md", "python")
    output = subprocess.check_output([sys.executable, "-c", example], text=True)
    assert f"prints `{output.strip()}`" in (ROOT / "packages/keeper-injector-common/README.md").read_text(
        encoding="utf-8"
    )


def test_what_is_explained_is_what_is_shown() -> None:
    """The example of common's README gives the text beside it, and its commands are commands."""
    readme = "packages/keeper-injector-common/README.md"
    (manifest,), (shown,), (console,) = (blocks(readme, language) for language in ("yaml", "text", "console"))
    command = [sys.executable, "-m", "keeper_injector_common.cli", "explain", "-"]
    assert subprocess.check_output(command, input=manifest, text=True) == shown
    for line in console.splitlines():
        assert build_parser().parse_args(line.removeprefix("$ keeper-injector ").split()).command in COMMANDS


def test_the_agents_example_writes_its_file(tmp_path: Path) -> None:
    """The plan in the README of the agent works against a Keeper, with `once`."""
    (plan,) = blocks("packages/keeper-injector-agent/README.md", "json")
    (command,) = blocks("packages/keeper-injector-agent/README.md", "console")
    with LocalKeeper.start() as keeper:
        content = {**json.loads(plan), "caFile": "/ca.crt"}
        (tmp_path / "plan.json").write_text(json.dumps(content), encoding="utf-8")
        (tmp_path / "out").mkdir()
        (tmp_path / "out/ca.crt").write_bytes(keeper.ca_file.read_bytes())
        (tmp_path / "ksm-config.json").write_text(json.dumps(keeper.config_dict()), encoding="utf-8")
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        script = "\n".join(["set -e", *(line.removeprefix("$ ") for line in command.splitlines())])
        subprocess.run(["bash", "-c", script], cwd=tmp_path, env={**os.environ, "PATH": path}, check=True)
    assert (tmp_path / "out/app/password").read_text(encoding="utf-8") == "correct-horse-battery"


@pytest.mark.parametrize("generator", ["annotations", "capacity", "commands"])
def test_generated_documents_are_current(generator: str) -> None:
    """`./tools/run docs` has nothing to say."""
    command = [sys.executable, "-m", f"generators.{generator}", "--check"]
    subprocess.run(command, cwd=ROOT / "tools/development", check=True)
