"""Any content of a file: property tests, guided fuzzing and sanitizers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from exec_shell import OWN, SOURCES, Shell, assert_rejected, run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Mapping

FUZZER = Path(__file__).parent / "fuzz" / "fuzz_keeper_exec.c"

NAME = st.sampled_from([b"A", b"B", b"OWN", b"PATH", b"LD_PRELOAD", b"HOME", b"TOKEN", b"9", b"a-b", b""])
ENTRY = st.builds(
    lambda name, equals, value: name + equals + value,
    NAME,
    st.sampled_from([b"=", b"=", b"=", b""]),
    st.binary(max_size=6),
)
CONTENT = st.builds(
    lambda entries, end: b"\0".join(entries) + end, st.lists(ENTRY, max_size=4), st.sampled_from([b"\0", b"\0", b""])
)


def expected(content: bytes, overrides: set[bytes], own: Mapping[bytes, bytes]) -> dict[bytes, bytes] | None:
    """Return the environment that the contract promises, or None if it requires a rejection."""
    if content == b"":
        return dict(own)
    *entries, rest = content.split(b"\0")
    found: dict[bytes, bytes] = {}
    for entry in entries:
        name, equals, value = entry.partition(b"=")
        dangerous = name == b"LD_PRELOAD" or (name in (b"PATH", b"HOME") and name not in overrides)
        if not equals or dangerous or name in found or re.fullmatch(rb"[A-Za-z_][A-Za-z0-9_]*", name) is None:
            return None
        found[name] = value
    mine = {name: value for name, value in own.items() if name not in found or name not in overrides}
    return None if rest else found | mine


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=CONTENT, overrides=st.sets(st.sampled_from([b"OWN", b"PATH", b"HOME", b"LD_PRELOAD"])))
def test_every_file_is_delivered_whole_or_rejected(shell: Shell, content: bytes, overrides: set[bytes]) -> None:
    """For any content, the outcome is what an independent implementation of the contract says."""
    own = {name.encode(): value.encode() for name, value in OWN.items()}
    promised = expected(content, overrides, own)
    outcome = shell.give(content, override=b",".join(sorted(overrides)).decode())
    if promised is None:
        assert_rejected(outcome, os.EX_CONFIG, "variables-0: ")
    else:
        assert outcome.environment == promised


def _sanitized(source: Path, target: Path, *options: str) -> None:
    """Build with the address and undefined-behaviour sanitizers of gcc."""
    flags = ["-std=c11", "-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", f"-I{SOURCES}"]
    done = subprocess.run(["gcc", *flags, *options, source, "-o", target], capture_output=True, check=False, text=True)
    if done.returncode != 0 and "asan" in done.stderr:
        pytest.skip("gcc has no sanitizer libraries here")
    assert done.returncode == 0, done.stderr


needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc, for its sanitizers, is not installed")


@needs_gcc
def test_fuzzing_finds_nothing(tmp_path: Path) -> None:
    """Three seconds of guided mutations from a fixed seed violate no promise and no sanitizer's rule."""
    _sanitized(FUZZER, tmp_path / "fuzz", "-fsanitize-coverage=trace-pc")
    outcome = run([tmp_path / "fuzz", "20261", "3"])
    assert outcome.code == 0, outcome.stderr
    figures = re.fullmatch(rb"runs=(\d+) accepted=\d+ corpus=\d+\n", outcome.stdout)
    assert figures is not None
    assert int(figures[1]) > 1000


CLEAN = {
    "delivered": ([b"A=1\0B=2\0", b"OWN=3\0"], ["--override", "OWN"], "show", 42),
    "no-entries": ([b""], [], "show", 42),
    "refused": ([b"A=1\0A=2\0"], [], "show", os.EX_CONFIG),
    "cut": ([b"A=1\0B=2"], [], "show", os.EX_CONFIG),
    "large": ([b"A=1\0" * 262144 + b"\0"], [], "show", os.EX_CONFIG),
    "not-found": ([b"A=1\0"], [], "absent", 127),
}


@needs_gcc
@pytest.mark.parametrize(("contents", "options", "command", "code"), CLEAN.values(), ids=CLEAN.keys())
def test_sanitizers_are_silent(
    shell: Shell, contents: list[bytes], options: list[str], command: str, code: int
) -> None:
    """The whole program, not only its parser, violates no rule of C on these paths."""
    _sanitized(SOURCES / "keeper-exec.c", shell.folder / "sanitized")
    files = [option for n, content in enumerate(contents) for option in ("--file", shell.file(content, f"v{n}"))]
    outcome = run([shell.folder / "sanitized", *files, *options, "--", shell.built / command])
    assert (outcome.code, "Sanitizer" in outcome.stderr, "runtime error" in outcome.stderr) == (code, False, False)


@needs_gcc
@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")
@pytest.mark.parametrize(("contents", "options", "command", "code"), CLEAN.values(), ids=CLEAN.keys())
def test_valgrind_is_silent(shell: Shell, contents: list[bytes], options: list[str], command: str, code: int) -> None:
    """Valgrind finds no invalid access, no use of uninitialised memory and no leak, on a build for the system's libc."""
    subprocess.run(["gcc", "-g", "-O1", SOURCES / "keeper-exec.c", "-o", shell.folder / "dynamic"], check=True)
    files = [option for n, content in enumerate(contents) for option in ("--file", shell.file(content, f"v{n}"))]
    log = shell.folder / "valgrind.log"
    valgrind = ["valgrind", "-q", "--leak-check=full", "--show-leak-kinds=definite,possible", f"--log-file={log}"]
    outcome = run([*valgrind, shell.folder / "dynamic", *files, *options, "--", shell.built / command])
    assert (outcome.code, log.read_text()) == (code, "")
