"""``keeper-injector`` as a pipeline or a person runs it: what all commands share."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

import pytest
from command_line import COMMAND, MANIFESTS, run

from keeper_injector_common.cli import COMMANDS, parser


def test_mistakes_are_sentences(tmp_path: Path) -> None:
    """What cannot be read is said on standard error, with exit code 2 and no traceback."""
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe4\n")
    found = run("lint", str(tmp_path / "none.yaml"), str(tmp_path / "latin.yaml"))
    assert (found.code, found.output) == (2, "")
    assert "none.yaml: no such file or directory; name a file that can be read" in found.errors
    assert "latin.yaml: byte 4 is not UTF-8; write the file as UTF-8" in found.errors
    assert "Traceback" not in found.errors


@pytest.mark.parametrize("command", ["lint", "explain"])
@pytest.mark.parametrize("text", ["", "kind: ConfigMap\n", "5\n", "[1, 2]\n", "---\n---\n"])
def test_nothing_to_look_at_is_said(command: str, text: str) -> None:
    """Silence would look as if all were well; the exit code stays, as a chart may have nothing to inject."""
    found = run(command, "-", text=text)
    assert (found.code, found.output) == (0, "")
    assert "no workloads found" in found.errors


@pytest.mark.parametrize("command", ["lint", "explain"])
def test_an_empty_directory_is_said(command: str, tmp_path: Path) -> None:
    """It may be the wrong one."""
    found = run(command, str(tmp_path))
    assert (found.code, "no workloads found" in found.errors) == (0, True)


@pytest.mark.parametrize("arguments", [[], ["polish"], ["lint"], ["lint", "-o", "xml", "-"]], ids=" ".join)
def test_wrong_use_is_explained(arguments: list[str]) -> None:
    """Usage goes to standard error, with exit code 2."""
    found = run(*arguments)
    assert (found.code, found.output) == (2, "")
    assert found.errors.startswith("usage: keeper-injector")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_examples(name: str) -> None:
    """Each command shows how it is used, by commands that its own parser accepts."""
    found = run(name, "--help")
    assert found.code == 0
    examples = [
        line.split("keeper-injector ", 1)[1]
        for line in found.output.partition("examples:")[2].splitlines()
        if "keeper-injector " in line
    ]
    assert examples
    for example in examples:
        words = example.split("   ")[0].split(" >")[0].split(" |")[0].replace(" &&", "").split()
        assert parser().parse_args(words).command in COMMANDS


def test_a_reader_may_leave() -> None:
    """A closed pipe ends the command quietly, whatever remained to be said."""
    files = [str(MANIFESTS / "habits.yaml")] * 200
    child = subprocess.Popen([*COMMAND, "lint", *files], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.close()
    _, errors = child.communicate(timeout=60)
    assert (child.returncode, b"Traceback" in errors) == (141, False)


@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)], ids=["free", "no-color"])
def test_colour_is_for_terminals(variables: dict[str, str], coloured: bool) -> None:
    """A terminal gets colour unless NO_COLOR is set; a pipe never does."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", **variables}
    environment.pop("NO_COLOR", None) if not variables else None
    command = [*COMMAND, "lint", str(MANIFESTS / "rendered.yaml")]
    subprocess.run(command, stdout=theirs, stderr=subprocess.DEVNULL, env=environment, timeout=60, check=False)
    os.close(theirs)
    with os.fdopen(ours, "rb") as terminal:
        assert (b"\033[" in terminal.read(200)) is coloured
    assert "\033[" not in run("lint", str(MANIFESTS / "rendered.yaml")).output
