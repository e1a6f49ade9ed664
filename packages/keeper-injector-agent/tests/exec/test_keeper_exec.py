"""``keeper-exec``, the static program between a container and its command: every promise, tested with the real program."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import keeper_injector_agent.exec as exec_package
from keeper_injector_common.records.formats import variable_names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

SOURCES = Path(exec_package.__file__).parent
FUZZER = Path(__file__).parent / "fuzz" / "fuzz_keeper_exec.c"
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


def _compiler() -> str:
    for name in ("musl-gcc", "cc", "gcc"):
        found = shutil.which(name)
        if found is not None:
            return found
    pytest.skip("no C compiler: neither musl-gcc nor cc nor gcc is installed")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with keeper-exec, built by build.sh, and the program that prints what it gets."""
    folder = tmp_path_factory.mktemp("built")
    environment = os.environ | {"CC": _compiler(), "VERSION": "1.2.3"}
    subprocess.run([SOURCES / "build.sh", folder / "keeper-exec"], env=environment, check=True)
    subprocess.run([_compiler(), "-static", "-xc", "-", "-o", folder / "show"], input=SHOW.encode(), check=True)
    return folder


@pytest.fixture(scope="session")
def program(built: Path) -> Path:
    """Return the path of the static keeper-exec."""
    return built / "keeper-exec"


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


@pytest.fixture
def shell(built: Path, tmp_path: Path) -> Shell:
    """A keeper-exec with an empty folder for its files."""
    return Shell(built, tmp_path)


def assert_rejected(outcome: Outcome, code: int, *parts: str) -> None:
    """Assert that no command ran, and that a one-line message with all *parts* and without a secret says why."""
    assert (outcome.code, outcome.stdout) == (code, b""), outcome.stderr
    assert re.fullmatch(r"keeper-exec: [ -~]+[^.\n]\n", outcome.stderr)
    assert [part for part in parts if part not in outcome.stderr] == [], outcome.stderr
    assert SECRET not in outcome.stderr


# Delivery


def test_command_gets_variables_and_nothing_else_changes(shell: Shell) -> None:
    """The command gets its arguments, the container's variables and those of the file; no file stays open."""
    outcome = shell.give(b"DB_PASSWORD=secret\0_x9=y\0")
    arguments, _, files = outcome.shown
    assert outcome.stderr == ""
    assert arguments == [str(shell.built / "show").encode(), b"an argument", b""]
    assert files == [b"0", b"1", b"2"]
    assert outcome.environment == {b"PATH": b"/usr/bin:/bin", b"OWN": b"mine", b"DB_PASSWORD": b"secret", b"_x9": b"y"}


VALUES = {
    "empty": b"",
    "newlines": b"-----BEGIN KEY-----\nabc\r\n\n",
    "quotes": b"a'b\"c`d\\ $(e) ${f} %s %n",
    "equals": b"a=b==c",
    "utf-8": "pässwörd 🔑".encode(),
    "not-utf-8": b"\xff\xfe\x80\xc3(",
    "every-byte-but-nul": bytes(range(1, 256)),
    "comma-and-blanks": b" , \t leading and trailing ",
    "longest": b"v" * (128 * KIBIBYTE - len("VALUE=") - 1),
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
def test_value_arrives_byte_for_byte(shell: Shell, value: bytes) -> None:
    """A value may contain every byte except NUL, and be as long as Linux allows."""
    assert shell.give(b"VALUE=" + value + b"\0NEXT=n\0").environment[b"VALUE"] == value


def test_container_wins_unless_overridden(shell: Shell) -> None:
    """A variable that the container sets takes precedence, even if it is empty, unless --override names it."""
    own = OWN | {"KEPT": "mine", "EMPTY": "", "TAKEN": "mine"}
    outcome = shell.give(b"KEPT=file\0EMPTY=file\0TAKEN=file\0NEW=file\0", override="ABSENT,TAKEN", own=own)
    new = {b"KEPT": b"mine", b"EMPTY": b"", b"TAKEN": b"file", b"NEW": b"file"}
    assert outcome.environment == {name.encode(): value.encode() for name, value in OWN.items()} | new


def test_override_matches_whole_names(shell: Shell) -> None:
    """A name in --override matches neither a beginning, nor an end, nor another case of a name."""
    own = OWN | {"TOKEN": "mine"}
    outcome = shell.give(b"TOKEN=file\0", override="TOKE,TOKENS,token,XTOKEN", own=own)
    assert outcome.environment[b"TOKEN"] == b"mine"


def test_several_files_are_one_environment(shell: Shell) -> None:
    """The files are combined; a file without entries adds nothing."""
    outcome = shell.give(b"A=1\0", b"", b"B=2\0")
    assert (outcome.environment[b"A"], outcome.environment[b"B"]) == (b"1", b"2")


def test_the_largest_set_is_delivered(shell: Shell) -> None:
    """4096 variables and a file of exactly 1 MiB are within the limits."""
    entries = [b"N%04d=%s\0" % (number, b"x" * 249) for number in range(4096)]
    content = b"".join(entries)
    assert len(content) == KIBIBYTE * KIBIBYTE
    assert len(shell.give(content).environment) == 4096 + len(OWN)


def test_file_is_found_through_the_symlinks_of_a_volume(shell: Shell) -> None:
    """Files of a volume are links into `..data`, as in Kubernetes' own volumes, so symbolic links are followed."""
    (shell.folder / "..2026").mkdir()
    shell.file(b"A=1\0", "..2026/app.env")
    (shell.folder / "..data").symlink_to("..2026")
    (shell.folder / "app.env").symlink_to("..data/app.env")
    outcome = shell.call(["--file", shell.folder / "app.env", "--", shell.built / "show"])
    assert outcome.environment[b"A"] == b"1"


# Rejection

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


# Unusual files


@pytest.mark.parametrize("path", ["absent", "variables-file/below", "dangling"])
def test_a_missing_file_is_unavailable(shell: Shell, path: str) -> None:
    """A missing file is not the user's mistake; the message says where to look."""
    shell.file(b"", "variables-file")
    (shell.folder / "dangling").symlink_to("nowhere")
    outcome = shell.call(["--file", shell.folder / path, "--", shell.built / "show"])
    assert_rejected(outcome, os.EX_UNAVAILABLE, str(shell.folder / path), "init container")


def _make_directory(path: Path) -> None:
    path.mkdir()


def _make_fifo(path: Path) -> None:
    os.mkfifo(path)


def test_a_loop_of_symbolic_links_is_reported(shell: Shell) -> None:
    """The system's reason why a file cannot be opened is part of the message."""
    (shell.folder / "circle").symlink_to("circle")
    outcome = shell.call(["--file", shell.folder / "circle", "--", shell.built / "show"])
    assert_rejected(outcome, os.EX_IOERR, str(shell.folder / "circle"))


@pytest.mark.parametrize("make", [_make_directory, _make_fifo], ids=["directory", "fifo"])
def test_file_must_be_regular(shell: Shell, make: Callable[[Path], None]) -> None:
    """A directory or a FIFO is rejected at once, without waiting for a writer."""
    make(shell.folder / "thing")
    outcome = shell.call(["--file", shell.folder / "thing", "--", shell.built / "show"])
    assert_rejected(outcome, os.EX_CONFIG, str(shell.folder / "thing"), "not a regular file")


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null"])
def test_a_device_is_rejected(shell: Shell, path: str) -> None:
    """An endless device is not read."""
    assert_rejected(shell.call(["--file", path, "--", "true"]), os.EX_CONFIG, path, "not a regular")


def test_a_world_writable_file_is_rejected(shell: Shell) -> None:
    """Anyone could have written a world-writable file; group-writable files are what fsGroup makes of volumes."""
    open_file = shell.file(b"A=1\0", "open", mode=0o446)
    group_file = shell.file(b"A=1\0", "group", mode=0o664)
    command = ("--", shell.built / "show")
    assert_rejected(shell.call(["--file", open_file, *command]), os.EX_CONFIG, str(open_file), "0446")
    assert shell.call(["--file", group_file, *command]).environment[b"A"] == b"1"


# The command

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
    if command == "./text" and Path(_compiler()).name != "musl-gcc":
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


# Probe, version, help


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


# Empty images


@pytest.fixture
def scratch(built: Path, tmp_path: Path) -> Path:
    """A root directory with keeper-exec, another static program and a file of variables, but no shell and no libc."""
    if os.geteuid() != 0 or shutil.which("chroot") is None:
        pytest.skip("changing the root directory requires root and chroot")
    tmp_path.chmod(0o755)
    for name in ("keeper-exec", "show"):
        shutil.copy(built / name, tmp_path / name)
    (tmp_path / "variables").write_bytes(b"A=" + SECRET.encode() + b"\0")
    (tmp_path / "variables").chmod(0o444)
    return tmp_path


NOBODY = ("chroot", "--userspec=65532:65532")


@pytest.mark.parametrize("command", ["/show", "show"])
def test_runs_in_an_empty_image(scratch: Path, command: str) -> None:
    """In a root directory with two static programs, as an arbitrary user, the command gets its variables."""
    argv: list[str | Path] = [*NOBODY, scratch, "/keeper-exec", "--file", "/variables", "--", command]
    outcome = run(argv, OWN | {"PATH": f"{os.environ['PATH']}:/"})
    assert outcome.environment[b"A"] == SECRET.encode()


def test_probe_in_an_empty_image(scratch: Path) -> None:
    """The probe needs nothing from the image."""
    probe: list[str | Path] = [*NOBODY, scratch, "/keeper-exec", "--ready"]
    assert (run([*probe, "/variables"], os.environ).code, run([*probe, "/absent"], os.environ).code) == (0, 1)


def test_a_file_of_another_user_is_a_permission_error(scratch: Path) -> None:
    """A file that the user may not read is reported as a permission error, not as a configuration error."""
    (scratch / "variables").chmod(0o400)
    outcome = run([*NOBODY, scratch, "/keeper-exec", "--file", "/variables", "--", "/show"], os.environ)
    assert_rejected(outcome, os.EX_NOPERM, "/variables: ", os.strerror(errno.EACCES))


def test_binary_is_static_and_small(program: Path) -> None:
    """The program has no interpreter, no shared library and no executable stack, and takes little of a memory volume."""
    headers = subprocess.run(
        ["readelf", "--wide", "--program-headers", "--dynamic", program], capture_output=True, check=True, text=True
    ).stdout
    assert re.search(r"GNU_STACK.* RW ", headers)
    assert ("INTERP" in headers, "NEEDED" in headers) == (False, False)
    if Path(_compiler()).name == "musl-gcc":
        assert program.stat().st_size < 64 * KIBIBYTE


# Hostile files

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


# The package


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


def restart_due(shell: Shell, content: bytes | None, *command: str) -> Outcome:
    """Run the liveness probe with a file of this content, or without one."""
    path = shell.folder / "app"
    path.unlink(missing_ok=True)
    if content is not None:
        path.write_bytes(content)
    return shell.call(["--restart-due", path, *command])


def seconds_since_boot(ago: float) -> bytes:
    """Return the time *ago* seconds before now as the agent writes it."""
    return f"{time.clock_gettime(time.CLOCK_BOOTTIME) - ago:.0f}".encode()


def test_a_restart_is_due_once(shell: Shell) -> None:
    """It is due after its time, if the container started before and has run for long enough. All processes here are one container."""
    assert_rejected(restart_due(shell, seconds_since_boot(2) + b" 0\n"), 1, "the secrets have changed")
    assert restart_due(shell, seconds_since_boot(-60) + b" 0\n").code == 0
    assert restart_due(shell, b"1 0\n").code == 0  # before this container started
    assert restart_due(shell, seconds_since_boot(2) + b" 999999999\n").code == 0


@pytest.mark.parametrize(
    "content",
    [None, b"", b"0 0\n", b"x", b"-5 0\n", b"99999999999999999999999 0\n", b"5", b"5 0", b"5 0 0\n", b"\n" * 99],
)
def test_nothing_else_restarts_a_container(shell: Shell, content: bytes | None) -> None:
    """Neither a missing sidecar nor a damaged file does."""
    assert restart_due(shell, content).code == 0


def test_the_containers_own_probe_decides_otherwise(shell: Shell) -> None:
    assert restart_due(shell, None, "--", "false").code == 1
    assert restart_due(shell, None, "--", "true").code == 0
    assert_rejected(restart_due(shell, seconds_since_boot(2) + b" 0\n", "--", "true"), 1, "the secrets have changed")
    assert_rejected(restart_due(shell, None, "--", "/no/such/program"), 127, "cannot be executed")
    assert_rejected(restart_due(shell, None, "true"), 64, "write -- and a command")
