"""What ``keeper-exec`` rejects: entries, names and sizes."""

from __future__ import annotations

import errno
import os
import re
from typing import TYPE_CHECKING

import pytest
from exec_shell import KIBIBYTE, OWN, SECRET, SOURCES, Shell, assert_rejected

from keeper_injector_common.records.formats import variable_names

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMES = {
    "no-equals": (SECRET.encode(), "entry 2 has no '='"),
    "empty-entry": (b"", "entry 2 has no '='"),
    "empty-name": (b"=" + SECRET.encode(), "entry 2 has an empty name"),
    "digit-first": (b"9A=x", "entry 2 has a bad name"),
    "hyphen": (SECRET.encode() + b"=x", "entry 2 has a bad name"),
    "blank": (b"A B=x", "entry 2 has a bad name"),
    "newline": (b"A\nB=x", "entry 2 has a bad name"),
    "dot": (b"a.b=x", "entry 2 has a bad name"),
    "umlaut": ("Ä=x".encode(), "entry 2 has a bad name"),
    "control": (b"A\x1b[2J=x", "entry 2 has a bad name"),
    "bash-function": (b"BASH_FUNC_ls%%=() { :; }", "entry 2 has a bad name"),
}


@pytest.mark.parametrize(("entry", "message"), NAMES.values(), ids=NAMES.keys())
def test_an_invalid_entry_is_rejected(shell: Shell, entry: bytes, message: str) -> None:
    """An entry without a well-formed name is reported by its number, because its text may be part of a value."""
    outcome = shell.give(b"GOOD=" + SECRET.encode() + b"\0" + entry + b"\0")
    assert_rejected(outcome, os.EX_CONFIG, str(shell.folder / "variables-0"), message)


CUT = {"value": b"A=1\0B=2", "name": b"A=1\0B", "one-byte": b"A", "newline-instead-of-nul": b"A=1\n"}


@pytest.mark.parametrize("content", CUT.values(), ids=CUT.keys())
def test_a_truncated_file_is_rejected(shell: Shell, content: bytes) -> None:
    """A file whose last byte is not NUL is truncated."""
    assert_rejected(shell.give(content), os.EX_CONFIG, str(shell.folder / "variables-0"), "truncated")


def test_a_duplicate_is_rejected(shell: Shell) -> None:
    """A name that occurs twice is rejected, whatever its values, so that the order of entries does not matter."""
    twice = b"A=" + SECRET.encode() + b"\0AA=\0A=\0"
    assert_rejected(shell.give(twice), os.EX_CONFIG, str(shell.folder / "variables-0"), ": A is a duplicate")


def test_a_duplicate_in_two_files_is_rejected(shell: Shell) -> None:
    """The message names both files, and --override does not choose between them."""
    outcome = shell.give(b"TOKEN=1\0", b"TOKEN=1\0", override="TOKEN")
    files = (str(shell.folder / "variables-0"), str(shell.folder / "variables-1"))
    assert_rejected(outcome, os.EX_CONFIG, "TOKEN is a duplicate", *files)


NEVER = ("GLIBC_TUNABLES", "LD_", "LD_AUDIT", "LD_LIBRARY_PATH", "LD_PRELOAD")
# fmt: off
GUARDED = (
    "BASHOPTS", "BASH_ENV", "CDPATH", "ENV", "FPATH", "GLOBIGNORE", "HOME", "IFS", "PATH", "PROMPT_COMMAND",
    "PS4", "SHELLOPTS", "ZDOTDIR", "GCONV_PATH", "GETCONF_DIR", "HOSTALIASES", "LOCALDOMAIN", "LOCPATH",
    "MALLOC_ARENA_MAX", "MALLOC_CHECK_", "MALLOC_TRACE", "NIS_PATH", "NLSPATH", "RESOLV_HOST_CONF",
    "RES_OPTIONS", "TMPDIR", "TZDIR", "ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "KUBERNETES_SERVICE_HOST",
    "NO_PROXY", "OPENSSL_CONF", "OPENSSL_ENGINES", "OPENSSL_MODULES", "SSL_CERT_DIR", "SSL_CERT_FILE",
    "all_proxy", "http_proxy", "https_proxy", "no_proxy", "CLASSPATH", "CORECLR_PROFILER_PATH",
    "DOTNET_STARTUP_HOOKS", "GEM_PATH", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "LUA_CPATH", "LUA_INIT_5_4",
    "LUA_PATH", "NODE_OPTIONS", "NODE_PATH", "PERL5LIB", "PERL5OPT", "PERLIO_DEBUG", "PERLLIB", "PHPRC",
    "PHP_INI_SCAN_DIR", "PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "RUBYLIB", "RUBYOPT", "_JAVA_OPTIONS",
)
# fmt: on
HARMLESS = ("LD", "MY_LD_PRELOAD", "PATHS", "XPATH", "MALLOC", "ld_preload", "GLIBC_TUNABLES_", "HOMER", "ENVIRONMENT")


@pytest.mark.parametrize("name", NEVER)
def test_no_secret_controls_the_loader(shell: Shell, name: str) -> None:
    """Variables of the dynamic loader are rejected, even with --override, and even if the container sets them."""
    content = f"{name}={SECRET}\0".encode()
    file = str(shell.folder / "variables-0")
    assert_rejected(shell.give(content), os.EX_CONFIG, file, f": {name} controls the program loader")
    assert_rejected(
        shell.give(content, override=name, own=OWN | {name: ""}),
        os.EX_CONFIG,
        file,
        f": {name} controls the program loader",
    )


@pytest.mark.parametrize("name", GUARDED)
def test_a_protected_name_needs_an_override(shell: Shell, name: str) -> None:
    """A variable that affects more than the application is rejected unless the pod's author lists it in --override."""
    content = f"{name}={SECRET}\0".encode()
    assert_rejected(shell.give(content), os.EX_CONFIG, str(shell.folder / "variables-0"), f": {name} affects more than")
    assert shell.give(content, override=f"A,{name}").environment[name.encode()] == SECRET.encode()


@pytest.mark.parametrize(
    ("table", "ours"),
    [("never", variable_names.FORBIDDEN_VARIABLES), ("guarded", variable_names.PROTECTED_VARIABLES)],
    ids=["never", "guarded"],
)
def test_python_knows_the_same_names(table: str, ours: Sequence[str]) -> None:
    """The agent rejects the same names in Python before it writes a file, where the message can name the record."""
    found = re.search(rf"{table}\[\] = {{(.*?)NULL", (SOURCES / "keeper-exec.c").read_text(), re.DOTALL)
    assert found is not None
    assert sorted(re.findall(r'"(.+?)"', found[1])) == sorted(ours)


def test_similar_names_are_delivered(shell: Shell) -> None:
    """Protected names match exactly or by their prefix, so similar names are ordinary."""
    content = "".join(f"{name}=x\0" for name in HARMLESS).encode()
    assert {name.decode() for name in shell.give(content).environment} == {*HARMLESS, *OWN}


def test_protected_names_of_the_container_stay(shell: Shell) -> None:
    """Only files are checked; LD_* and PATH of the container are up to its author."""
    own = OWN | {"LD_BIND_NOW": "1", "NODE_OPTIONS": "--x"}
    environment = shell.give(b"A=1\0", own=own).environment
    assert (environment[b"LD_BIND_NOW"], environment[b"NODE_OPTIONS"]) == (b"1", b"--x")


SIZES = {
    "entry": (b"GOOD=1\0BIG=" + b"v" * (128 * KIBIBYTE - 4) + b"\0", "BIG is too long"),
    "name": (b"N" * (128 * KIBIBYTE) + b"=v\0", "N" * 99 + " is too long"),
    "file": (b"A=1\0" * 262144 + b"\0", "too large"),
    "count": (b"".join(b"N%d=\0" % number for number in range(4097)), "too many entries"),
}


@pytest.mark.parametrize(("content", "message"), SIZES.values(), ids=SIZES.keys())
def test_a_size_beyond_the_limit_is_rejected(shell: Shell, content: bytes, message: str) -> None:
    """One byte or one entry above the limit is rejected, and the message stays short."""
    outcome = shell.give(content)
    assert_rejected(outcome, os.EX_CONFIG, str(shell.folder / "variables-0"), message)
    assert len(outcome.stderr) < 400


def test_the_number_of_entries_is_limited_over_all_files(shell: Shell) -> None:
    """Several files cannot exceed the limit on the number of variables."""
    halves = [b"".join(b"%s%d=\0" % (prefix, number) for number in range(2049)) for prefix in (b"A", b"B")]
    assert_rejected(shell.give(*halves), os.EX_CONFIG, str(shell.folder / "variables-1"), "too many entries")


def test_an_environment_too_large_for_linux_is_reported(shell: Shell) -> None:
    """An environment that exec cannot pass on ends with exit code 126, as in a shell, although the files are valid."""
    content = [b"".join(b"%s%d=%s\0" % (prefix, n, b"x" * 100_000) for n in range(10)) for prefix in (b"A", b"B", b"C")]
    assert_rejected(shell.give(*content), 126, os.strerror(errno.E2BIG))
