"""What commands print, and how they end."""

from __future__ import annotations

import os
import pty
import subprocess

import pytest
from command_line import COMMAND, MANIFESTS, run


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
