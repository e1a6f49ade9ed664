"""``keeper-exec`` as tests run it, and the program that prints what it gets."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import pytest

import keeper_injector_agent.exec as exec_package

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SOURCES = Path(exec_package.__file__).parent
KIBIBYTE = 1024
OWN = {"PATH": "/usr/bin:/bin", "OWN": "mine"}
SECRET = "hunter2-never-to-be-shown"

# Prints the arguments, environment and open files of a process, without a libc that could change them.
SHOW = r"""
#include <fcntl.h>
#include <stdio.h>
static void show(char **strings, int count) {
    printf("%d%c", count, 0);
    for (int i = 0; i < count; i++) { fputs(strings[i], stdout); fputc(0, stdout); }
}
int main(int argc, char **argv, char **environment) {
    int variables = 0;
    while (environment[variables]) variables++;
    show(argv, argc);
    show(environment, variables);
    for (int i = 0; i < 64; i++) if (fcntl(i, F_GETFD) >= 0) printf("%d%c", i, 0);
    return 42;
}
"""


def compiler() -> str:
    """Return the name of a C compiler, or skip the test."""
    for name in ("musl-gcc", "cc", "gcc"):
        found = shutil.which(name)
        if found is not None:
            return found
    pytest.skip("no C compiler: neither musl-gcc nor cc nor gcc is installed")


@attrs.frozen
class Outcome:
    """The result of a run, and what the command saw if it ran."""

    code: int
    stdout: bytes
    stderr: str

    @property
    def shown(self) -> tuple[list[bytes], list[bytes], list[bytes]]:
        """Return the arguments, the environment and the open files that the program printed."""
        assert self.code == 42, (self.code, self.stderr)
        _, *rest = strings = self.stdout.split(b"\0")[:-1]
        arguments, rest = rest[: int(strings[0])], rest[int(strings[0]) :]
        variables = 1 + int(rest[0])
        return arguments, rest[1:variables], rest[variables:]

    @property
    def environment(self) -> dict[bytes, bytes]:
        """Return the environment of the command; fails if a name occurs twice."""
        entries = [entry.partition(b"=") for entry in self.shown[1]]
        assert len({name for name, _, _ in entries}) == len(entries)
        return {name: value for name, _, value in entries}


def run(arguments: Sequence[str | Path], own: Mapping[str, str] = OWN) -> Outcome:
    """Run a program with exactly the environment *own*."""
    done = subprocess.run(list(map(str, arguments)), env=dict(own), capture_output=True, timeout=60, check=False)
    return Outcome(done.returncode, done.stdout, done.stderr.decode())


@attrs.frozen
class Shell:
    """Writes files of variables and runs keeper-exec with them."""

    built: Path
    folder: Path

    def file(self, content: bytes, name: str = "variables", mode: int = 0o444) -> Path:
        """Write a file of variables."""
        path = self.folder / name
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        path.chmod(mode)
        return path

    def call(self, arguments: Sequence[str | Path], own: Mapping[str, str] = OWN) -> Outcome:
        """Run keeper-exec with *arguments*."""
        return run([self.built / "keeper-exec", *arguments], own)

    def give(self, *contents: bytes, override: str = "", own: Mapping[str, str] = OWN) -> Outcome:
        """Run the program that prints its environment, with one file for each of *contents*."""
        files = [self.file(content, f"variables-{number}") for number, content in enumerate(contents)]
        options = [option for file in files for option in ("--file", file)]
        options += ["--override", override] if override else []
        return self.call([*options, "--", self.built / "show", "an argument", ""], own)


def assert_rejected(outcome: Outcome, code: int, *parts: str) -> None:
    """Assert that no command ran, and that a one-line message with all *parts* and without a secret says why."""
    assert (outcome.code, outcome.stdout) == (code, b""), outcome.stderr
    assert re.fullmatch(r"keeper-exec: [ -~]+[^.\n]\n", outcome.stderr)
    assert [part for part in parts if part not in outcome.stderr] == [], outcome.stderr
    assert SECRET not in outcome.stderr
