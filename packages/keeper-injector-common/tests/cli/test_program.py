"""``keeper-injector``: what all commands have in common."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

import pytest
from command_line import COMMAND, MANIFESTS, run

from keeper_injector_common.cli.commands import COMMANDS, installed
from keeper_injector_common.cli.program import build_parser


def test_unreadable_files_are_reported(tmp_path: Path) -> None:
    """A file that cannot be read is reported on standard error, with exit code 2 and without a traceback."""
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe4\n")
    found = run("lint", str(tmp_path / "none.yaml"), str(tmp_path / "latin.yaml"))
    assert (found.code, found.output) == (2, "")
    assert "none.yaml: no such file or directory; name a file that can be read" in found.errors
    assert "latin.yaml: byte 4 is not UTF-8; write the file as UTF-8" in found.errors
    assert "Traceback" not in found.errors


@pytest.mark.parametrize("command", ["lint", "explain"])
@pytest.mark.parametrize("text", ["", "kind: ConfigMap\n", "5\n", "[1, 2]\n", "---\n---\n"])
def test_input_without_workloads_is_reported(command: str, text: str) -> None:
    """A message says that no workloads were found; the exit code is 0, because a chart may have nothing to inject."""
    found = run(command, "-", text=text)
    assert (found.code, found.output) == (0, "")
    assert "no workloads found" in found.errors


@pytest.mark.parametrize("command", ["lint", "explain"])
def test_an_empty_directory_is_reported(command: str, tmp_path: Path) -> None:
    """A directory without manifests is reported, because it may be the wrong one."""
    found = run(command, str(tmp_path))
    assert (found.code, "no workloads found" in found.errors) == (0, True)


@pytest.mark.parametrize("arguments", [[], ["polish"], ["lint"], ["lint", "-o", "xml", "-"]], ids=" ".join)
def test_invalid_arguments_print_the_usage(arguments: list[str]) -> None:
    """Invalid arguments print the usage to standard error, with exit code 2."""
    found = run(*arguments)
    assert (found.code, found.output) == (2, "")
    assert found.errors.startswith("usage: keeper-injector")


@pytest.mark.parametrize("name", installed())
def test_help_has_examples(name: str) -> None:
    """The help of each command has examples that the parser accepts."""
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
        assert build_parser().parse_args(words).command in COMMANDS


def test_a_closed_pipe_ends_the_command() -> None:
    """A command ends without an error when its standard output is closed, as by ``head``."""
    files = [str(MANIFESTS / "habits.yaml")] * 200
    child = subprocess.Popen([*COMMAND, "lint", *files], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.close()
    _, errors = child.communicate(timeout=60)
    assert (child.returncode, b"Traceback" in errors) == (141, False)


@pytest.mark.parametrize(("variables", "colored"), [({}, True), ({"NO_COLOR": "1"}, False)], ids=["free", "no-color"])
def test_colors_are_for_terminals(variables: dict[str, str], colored: bool) -> None:
    """Output to a terminal has colors unless NO_COLOR is set; output to a pipe never has."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", **variables}
    environment.pop("NO_COLOR", None) if not variables else None
    command = [*COMMAND, "lint", str(MANIFESTS / "rendered.yaml")]
    subprocess.run(command, stdout=theirs, stderr=subprocess.DEVNULL, env=environment, timeout=60, check=False)
    os.close(theirs)
    with os.fdopen(ours, "rb") as terminal:
        assert (b"\033[" in terminal.read(200)) is colored
    assert "\033[" not in run("lint", str(MANIFESTS / "rendered.yaml")).output
