"""``keeper-injector completion``: shells can read the scripts."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from command_line import run


def test_bash_completes() -> None:
    """Bash completes commands first, and then the options of the chosen command."""
    script = run("completion", "bash").output + (
        "COMP_WORDS=(keeper-injector li); COMP_CWORD=1; _keeper_injector; echo ${COMPREPLY[*]}\n"
        "COMP_WORDS=(keeper-injector lint --st); COMP_CWORD=2; _keeper_injector; echo ${COMPREPLY[*]}\n"
    )
    assert subprocess.check_output(["bash", "-eu", "-c", script], text=True).split() == ["lint", "--strict"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_accept_the_script(shell: str) -> None:
    """The script has the commands and options; if the shell is installed, it parses the script."""
    found = run("completion", shell).output
    assert all(word in found for word in ("lint", "explain", "render", "strict"))
    if shutil.which(shell):
        subprocess.run([shell, "-n", "-c", found], check=True, capture_output=True)
