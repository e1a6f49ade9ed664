"""The command of ``keeper-exec``, its options, and where the package has the program."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from exec_shell import OWN, SECRET, SOURCES, Outcome, Shell, assert_rejected, compiler, run

COMMANDS = {
    "not-in-path": ("no-such-program", 127, "not found"),
    "no-such-path": ("/no/such/program", 127, "not found"),
    "below-a-file": ("./plain/program", 127, "not found"),
    "empty": ("", 127, "not found"),
    "interpreter-missing": ("./script", 127, "interpreter"),
    "not-executable": ("./plain", 126, "cannot be executed"),
    "directory": ("./", 126, "cannot be executed"),
    "no-program": ("./text", 126, "cannot be executed"),
}


@pytest.mark.parametrize(("command", "code", "message"), COMMANDS.values(), ids=COMMANDS.keys())
def test_a_command_that_cannot_run_is_reported(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, command: str, code: int, message: str
) -> None:
    """A command that is not found ends with 127, one that cannot be executed with 126, as in a shell."""
    if command == "./text" and Path(compiler()).name != "musl-gcc":
        pytest.skip("only musl's execvpe rejects a text without #!; others run it with /bin/sh")
    monkeypatch.chdir(shell.folder)
    shell.file(b"", "plain", mode=0o644)
    shell.file(b"#!/no/such/interpreter\n", "script", mode=0o755)
    shell.file(b"neither ELF nor #!\n", "text", mode=0o755)
    file = shell.file(b"A=" + SECRET.encode() + b"\0")
    outcome = shell.call(["--file", file, "--", command])
    assert_rejected(outcome, code, f"keeper-exec: {command}: ", message)


def test_command_is_found_in_the_containers_path(shell: Shell) -> None:
    """A command without a slash is looked up in the container's PATH, not in one that a file sets."""
    (shell.folder / "other").mkdir()
    shell.file(b"#!/bin/sh\nexit 3\n", "other/show", mode=0o755)
    file = shell.file(f"PATH={shell.folder}/other\0".encode())
    options: list[str | Path] = ["--file", file, "--override", "PATH", "--", "show"]
    outcome = shell.call([*options], own={"PATH": f"/nowhere:{shell.built}"})
    assert outcome.environment == {b"PATH": f"{shell.folder}/other".encode()}


def test_command_takes_over_the_process(shell: Shell) -> None:
    """The command keeps the process ID of keeper-exec, so signals and exit codes are its own."""
    file = shell.file(b"A=1\0")
    argv: list[str | Path] = [
        shell.built / "keeper-exec",
        "--file",
        file,
        "--",
        "/bin/sh",
        "-c",
        "echo $$; kill -TERM $$",
    ]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, env=dict(OWN), text=True) as process:
        message, _ = process.communicate(timeout=60)
        assert (int(message), process.returncode) == (process.pid, -15)


def test_options_of_the_command_are_its_own(shell: Shell) -> None:
    """After the first -- nothing is parsed as an option of keeper-exec."""
    file = shell.file(b"A=1\0")
    command: list[str | Path] = [shell.built / "show", "--file", "/x", "--", "--help"]
    outcome = shell.call(["--file", file, "--", *command])
    assert outcome.shown[0][1:] == [b"--file", b"/x", b"--", b"--help"]


USAGE = {
    "nothing": ([], "--file"),
    "no-file": (["--", "true"], "--file"),
    "no-command": (["--file", "F", "--"], "no command"),
    "no-dashes": (["--file", "F"], "no command"),
    "file-without-path": (["--file"], "--file: unknown option, or its value is missing"),
    "unknown-option": (["--files", "F", "--", "true"], "--files: unknown"),
    "command-without-dashes": (["--file", "F", "true"], "true: unknown"),
    "override-twice": (["--override", "A", "--override", "B", "--file", "F", "--", "true"], "--override B"),
    "override-empty": (["--override", "", "--file", "F", "--", "true"], "--override NAME"),
    "override-empty-name": (["--override", "A,,B", "--file", "F", "--", "true"], "--override A,,B"),
    "override-bad-name": (["--override", "A-B", "--file", "F", "--", "true"], "--override A-B"),
    "override-ends-with-comma": (["--override", "A,", "--file", "F", "--", "true"], "--override A,"),
    "nine-files": ([*["--file", "F"] * 9, "--", "true"], "9 times --file; specify 1 to 8 files"),
    "ready-without-path": (["--ready"], "--ready"),
    "ready-with-two-paths": (["--ready", "/", "/"], "--help"),
    "help-with-more": (["--help", "x"], "--help"),
}


@pytest.mark.parametrize(("arguments", "message"), USAGE.values(), ids=USAGE.keys())
def test_invalid_usage_is_explained(program: Path, arguments: list[str], message: str) -> None:
    """An invalid command line ends with 64 and an explanation, before any file is read."""
    assert_rejected(run([program, *arguments]), os.EX_USAGE, message)


def test_eight_files_of_the_largest_size_fit(shell: Shell) -> None:
    """The last of eight files is read to its end and checked like the first."""
    filler = [b"".join(b"%c%d=%s\0" % (65 + f, n, b"x" * 131_060) for n in range(7)) for f in range(7)]
    last = b"Z=" + b"x" * 100 + b"\0" + b"9=\0"
    assert_rejected(
        shell.give(*filler, last), os.EX_CONFIG, str(shell.folder / "variables-7"), "entry 2 has a bad name"
    )


def test_ready_checks_for_a_path(program: Path, tmp_path: Path) -> None:
    """The probe succeeds silently if the path exists, also through symbolic links; otherwise it names the path."""
    (tmp_path / "link").symlink_to("ready")
    missing = run([program, "--ready", tmp_path / "link"])
    assert_rejected(missing, 1, f"{tmp_path / 'link'}: not ready: ")
    (tmp_path / "ready").touch()
    assert run([program, "--ready", tmp_path / "link"]) == Outcome(0, b"", "")


def test_version_and_help(program: Path) -> None:
    """The version is the one of the build, and the help fits on a screen."""
    assert run([program, "--version"]) == Outcome(0, b"keeper-exec 1.2.3\n", "")
    helped = run([program, "--help"])
    assert (helped.code, helped.stderr) == (0, "")
    assert helped.stdout.startswith(b"usage: keeper-exec --file PATH")
    assert helped.stdout.endswith(b"\n")


def test_the_packaged_program_is_found_or_its_absence_explained(built: Path, tmp_path: Path) -> None:
    """keeper_exec_path() is the program beside its source; if it was not built, the error says how to build it."""
    package = tmp_path / "package"
    package.mkdir()
    shutil.copy(SOURCES / "__init__.py", package)
    ask = [sys.executable, "-c", "import package; print(package.keeper_exec_path())"]
    lacking = subprocess.run(ask, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (lacking.returncode, "not built; run" in lacking.stderr) == (1, True)
    assert "FileNotFoundError: " in lacking.stderr
    shutil.copy(built / "keeper-exec", package)
    found = subprocess.run(ask, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert Path(found.stdout.strip()) == package / "keeper-exec"
