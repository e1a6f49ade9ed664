"""keeper-exec, the static program between a container and its command: every promise, asked of the real binary."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import sys
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

# What a command sees of itself, without a libc that could change it: arguments, environment, open files.
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
    """Return a folder with keeper-exec as build.sh makes it, and the program that shows what it was given."""
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
    """How a run ended, and what the command saw if it ran."""

    code: int
    stdout: bytes
    stderr: str

    @property
    def shown(self) -> tuple[list[bytes], list[bytes], list[bytes]]:
        """Return the arguments, the environment's entries and the open files that the shown program saw."""
        assert self.code == 42, (self.code, self.stderr)
        _, *rest = strings = self.stdout.split(b"\0")[:-1]
        arguments, rest = rest[: int(strings[0])], rest[int(strings[0]) :]
        variables = 1 + int(rest[0])
        return arguments, rest[1:variables], rest[variables:]

    @property
    def environment(self) -> dict[bytes, bytes]:
        """Return the command's environment; fails when a name is in it twice."""
        entries = [entry.partition(b"=") for entry in self.shown[1]]
        assert len({name for name, _, _ in entries}) == len(entries)
        return {name: value for name, _, value in entries}


def run(arguments: Sequence[str | Path], own: Mapping[str, str] = OWN) -> Outcome:
    """Run a program in exactly the environment *own*."""
    done = subprocess.run(list(map(str, arguments)), env=dict(own), capture_output=True, timeout=60, check=False)
    return Outcome(done.returncode, done.stdout, done.stderr.decode())


@attrs.frozen
class Shell:
    """Writes files of variables and gives them to keeper-exec."""

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
        """Run keeper-exec with these arguments."""
        return run([self.built / "keeper-exec", *arguments], own)

    def give(self, *contents: bytes, override: str = "", own: Mapping[str, str] = OWN) -> Outcome:
        """Run the program that shows its environment with one file for each of *contents*."""
        files = [self.file(content, f"variables-{number}") for number, content in enumerate(contents)]
        options = [option for file in files for option in ("--file", file)]
        options += ["--override", override] if override else []
        return self.call([*options, "--", self.built / "show", "an argument", ""], own)


@pytest.fixture
def shell(built: Path, tmp_path: Path) -> Shell:
    """Return keeper-exec with an empty folder for its files."""
    return Shell(built, tmp_path)


def assert_refused(outcome: Outcome, code: int, *parts: str) -> None:
    """Assert that no command ran, and that one sentence with all *parts* and no secret says why."""
    assert (outcome.code, outcome.stdout) == (code, b""), outcome.stderr
    assert re.fullmatch(r"keeper-exec: [ -~]+[^.\n]\n", outcome.stderr)
    assert [part for part in parts if part not in outcome.stderr] == [], outcome.stderr
    assert SECRET not in outcome.stderr


# What is delivered


def test_command_gets_variables_and_nothing_else_changes(shell: Shell) -> None:
    """The command gets its arguments, the container's variables and the file's; no file stays open."""
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
    """A value may hold every byte but NUL, and is as long as Linux allows."""
    assert shell.give(b"VALUE=" + value + b"\0NEXT=n\0").environment[b"VALUE"] == value


def test_container_wins_unless_overridden(shell: Shell) -> None:
    """A variable that the container sets wins, even when empty, unless its name is in --override."""
    own = OWN | {"KEPT": "mine", "EMPTY": "", "TAKEN": "mine"}
    outcome = shell.give(b"KEPT=file\0EMPTY=file\0TAKEN=file\0NEW=file\0", override="ABSENT,TAKEN", own=own)
    new = {b"KEPT": b"mine", b"EMPTY": b"", b"TAKEN": b"file", b"NEW": b"file"}
    assert outcome.environment == {name.encode(): value.encode() for name, value in OWN.items()} | new


def test_override_names_match_whole(shell: Shell) -> None:
    """A name in --override is meant whole: no beginning, end or other case of it."""
    own = OWN | {"TOKEN": "mine"}
    outcome = shell.give(b"TOKEN=file\0", override="TOKE,TOKENS,token,XTOKEN", own=own)
    assert outcome.environment[b"TOKEN"] == b"mine"


def test_several_files_are_one_environment(shell: Shell) -> None:
    """Files add up; one without any entry adds nothing."""
    outcome = shell.give(b"A=1\0", b"", b"B=2\0")
    assert (outcome.environment[b"A"], outcome.environment[b"B"]) == (b"1", b"2")


def test_largest_set_arrives(shell: Shell) -> None:
    """4096 variables and a file of exactly 1 MiB are within the limits."""
    entries = [b"N%04d=%s\0" % (number, b"x" * 249) for number in range(4096)]
    content = b"".join(entries)
    assert len(content) == KIBIBYTE * KIBIBYTE
    assert len(shell.give(content).environment) == 4096 + len(OWN)


def test_file_is_found_through_the_symlinks_of_a_volume(shell: Shell) -> None:
    """Files appear through `..data`, as in Kubernetes' own volumes, so symlinks are followed."""
    (shell.folder / "..2026").mkdir()
    shell.file(b"A=1\0", "..2026/app.env")
    (shell.folder / "..data").symlink_to("..2026")
    (shell.folder / "app.env").symlink_to("..data/app.env")
    outcome = shell.call(["--file", shell.folder / "app.env", "--", shell.built / "show"])
    assert outcome.environment[b"A"] == b"1"


# What is refused

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


@pytest.mark.parametrize(("entry", "said"), NAMES.values(), ids=NAMES.keys())
def test_what_is_no_entry_is_refused(shell: Shell, entry: bytes, said: str) -> None:
    """An entry without a well-formed name is refused by its number: its text may be a piece of a value."""
    outcome = shell.give(b"GOOD=" + SECRET.encode() + b"\0" + entry + b"\0")
    assert_refused(outcome, os.EX_CONFIG, str(shell.folder / "variables-0"), said)


CUT = {"value": b"A=1\0B=2", "name": b"A=1\0B", "one-byte": b"A", "newline-instead-of-nul": b"A=1\n"}


@pytest.mark.parametrize("content", CUT.values(), ids=CUT.keys())
def test_cut_file_is_refused(shell: Shell, content: bytes) -> None:
    """A file whose last byte is not NUL was cut short."""
    assert_refused(shell.give(content), os.EX_CONFIG, str(shell.folder / "variables-0"), "cut short")


def test_duplicate_is_refused(shell: Shell) -> None:
    """A name that is there twice is refused, whatever the values, lest the order of entries decide."""
    twice = b"A=" + SECRET.encode() + b"\0AA=\0A=\0"
    assert_refused(shell.give(twice), os.EX_CONFIG, str(shell.folder / "variables-0"), ": A is a duplicate")


def test_duplicate_between_files_is_refused(shell: Shell) -> None:
    """The sentence about a name in two files names both, and --override does not choose between them."""
    outcome = shell.give(b"TOKEN=1\0", b"TOKEN=1\0", override="TOKEN")
    files = (str(shell.folder / "variables-0"), str(shell.folder / "variables-1"))
    assert_refused(outcome, os.EX_CONFIG, "TOKEN is a duplicate", *files)


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
def test_no_secret_steers_the_loader(shell: Shell, name: str) -> None:
    """What steers the dynamic loader is refused, even with --override, even when the container sets it."""
    content = f"{name}={SECRET}\0".encode()
    file = str(shell.folder / "variables-0")
    assert_refused(shell.give(content), os.EX_CONFIG, file, f": {name} steers the loader")
    assert_refused(
        shell.give(content, override=name, own=OWN | {name: ""}), os.EX_CONFIG, file, f": {name} steers the loader"
    )


@pytest.mark.parametrize("name", GUARDED)
def test_dangerous_name_needs_an_override(shell: Shell, name: str) -> None:
    """A variable that steers more than the application is refused, unless the pod's author names it."""
    content = f"{name}={SECRET}\0".encode()
    assert_refused(shell.give(content), os.EX_CONFIG, str(shell.folder / "variables-0"), f": {name} steers more")
    assert shell.give(content, override=f"A,{name}").environment[name.encode()] == SECRET.encode()


@pytest.mark.parametrize(
    ("table", "ours"),
    [("never", variable_names.FORBIDDEN_VARIABLES), ("guarded", variable_names.PROTECTED_VARIABLES)],
    ids=["never", "guarded"],
)
def test_python_knows_the_same_names(table: str, ours: Sequence[str]) -> None:
    """What keeper-exec would refuse is refused before a file is written, where the sentence can name the record."""
    found = re.search(rf"{table}\[\] = {{(.*?)NULL", (SOURCES / "keeper-exec.c").read_text(), re.DOTALL)
    assert found is not None
    assert sorted(re.findall(r'"(.+?)"', found[1])) == sorted(ours)


def test_names_that_only_look_dangerous_are_delivered(shell: Shell) -> None:
    """A dangerous name is meant exactly, or by its prefix: its neighbours are ordinary names."""
    content = "".join(f"{name}=x\0" for name in HARMLESS).encode()
    assert {name.decode() for name in shell.give(content).environment} == {*HARMLESS, *OWN}


def test_dangerous_names_of_the_container_stay(shell: Shell) -> None:
    """Only files are judged: the container's own LD_* and PATH are its author's business."""
    own = OWN | {"LD_BIND_NOW": "1", "NODE_OPTIONS": "--x"}
    environment = shell.give(b"A=1\0", own=own).environment
    assert (environment[b"LD_BIND_NOW"], environment[b"NODE_OPTIONS"]) == (b"1", b"--x")


SIZES = {
    "entry": (b"GOOD=1\0BIG=" + b"v" * (128 * KIBIBYTE - 4) + b"\0", "BIG is too long"),
    "name": (b"N" * (128 * KIBIBYTE) + b"=v\0", "N" * 99 + " is too long"),
    "file": (b"A=1\0" * 262144 + b"\0", "too large"),
    "count": (b"".join(b"N%d=\0" % number for number in range(4097)), "too many entries"),
}


@pytest.mark.parametrize(("content", "said"), SIZES.values(), ids=SIZES.keys())
def test_size_beyond_the_limit_is_refused(shell: Shell, content: bytes, said: str) -> None:
    """One byte or one entry more than the limit is refused, and the sentence stays short."""
    outcome = shell.give(content)
    assert_refused(outcome, os.EX_CONFIG, str(shell.folder / "variables-0"), said)
    assert len(outcome.stderr) < 400


def test_count_is_limited_over_all_files(shell: Shell) -> None:
    """Many files are no way around the limit on the number of variables."""
    halves = [b"".join(b"%s%d=\0" % (prefix, number) for number in range(2049)) for prefix in (b"A", b"B")]
    assert_refused(shell.give(*halves), os.EX_CONFIG, str(shell.folder / "variables-1"), "too many entries")


def test_environment_beyond_what_linux_takes_is_a_sentence(shell: Shell) -> None:
    """More than an exec can carry is exit code 126, as in a shell, after the files themselves were good."""
    content = [b"".join(b"%s%d=%s\0" % (prefix, n, b"x" * 100_000) for n in range(10)) for prefix in (b"A", b"B", b"C")]
    assert_refused(shell.give(*content), 126, os.strerror(errno.E2BIG))


# Files that are not what they should be


@pytest.mark.parametrize("path", ["absent", "variables-file/below", "dangling"])
def test_missing_file_is_unavailable(shell: Shell, path: str) -> None:
    """A file that is not there is not the user's mistake: the sentence says where to look."""
    shell.file(b"", "variables-file")
    (shell.folder / "dangling").symlink_to("nowhere")
    outcome = shell.call(["--file", shell.folder / path, "--", shell.built / "show"])
    assert_refused(outcome, os.EX_UNAVAILABLE, str(shell.folder / path), "init container")


def _make_directory(path: Path) -> None:
    path.mkdir()


def _make_fifo(path: Path) -> None:
    os.mkfifo(path)


def test_symlinks_in_a_circle_are_an_error_of_input(shell: Shell) -> None:
    """What the system says about a file that cannot be opened is passed on."""
    (shell.folder / "circle").symlink_to("circle")
    outcome = shell.call(["--file", shell.folder / "circle", "--", shell.built / "show"])
    assert_refused(outcome, os.EX_IOERR, str(shell.folder / "circle"))


@pytest.mark.parametrize("make", [_make_directory, _make_fifo], ids=["directory", "fifo"])
def test_file_must_be_regular(shell: Shell, make: Callable[[Path], None]) -> None:
    """A directory or a FIFO is refused at once: nothing waits for a writer."""
    make(shell.folder / "thing")
    outcome = shell.call(["--file", shell.folder / "thing", "--", shell.built / "show"])
    assert_refused(outcome, os.EX_CONFIG, str(shell.folder / "thing"), "not a regular file")


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null"])
def test_device_is_refused(shell: Shell, path: str) -> None:
    """An endless device is not read."""
    assert_refused(shell.call(["--file", path, "--", "true"]), os.EX_CONFIG, path, "not a regular")


def test_file_that_anyone_may_write_is_refused(shell: Shell) -> None:
    """Variables from a world-writable file could be anybody's; group-writable is what fsGroup makes of volumes."""
    open_file = shell.file(b"A=1\0", "open", mode=0o446)
    group_file = shell.file(b"A=1\0", "group", mode=0o664)
    command = ("--", shell.built / "show")
    assert_refused(shell.call(["--file", open_file, *command]), os.EX_CONFIG, str(open_file), "0446")
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


@pytest.mark.parametrize(("command", "code", "said"), COMMANDS.values(), ids=COMMANDS.keys())
def test_command_that_cannot_run(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, command: str, code: int, said: str
) -> None:
    """A command that is not found ends with 127, one that cannot be executed with 126, as in a shell."""
    if command == "./text" and Path(_compiler()).name != "musl-gcc":
        pytest.skip("only musl's execvpe refuses a text without #!: others give it to /bin/sh")
    monkeypatch.chdir(shell.folder)
    shell.file(b"", "plain", mode=0o644)
    shell.file(b"#!/no/such/interpreter\n", "script", mode=0o755)
    shell.file(b"neither ELF nor #!\n", "text", mode=0o755)
    file = shell.file(b"A=" + SECRET.encode() + b"\0")
    outcome = shell.call(["--file", file, "--", command])
    assert_refused(outcome, code, f"keeper-exec: {command}: ", said)


def test_command_is_found_in_the_containers_path(shell: Shell) -> None:
    """A command without a slash is looked up in the container's PATH, not in one that a file brings."""
    (shell.folder / "other").mkdir()
    shell.file(b"#!/bin/sh\nexit 3\n", "other/show", mode=0o755)
    file = shell.file(f"PATH={shell.folder}/other\0".encode())
    options: list[str | Path] = ["--file", file, "--override", "PATH", "--", "show"]
    outcome = shell.call([*options], own={"PATH": f"/nowhere:{shell.built}"})
    assert outcome.environment == {b"PATH": f"{shell.folder}/other".encode()}


def test_command_takes_over_the_process(shell: Shell) -> None:
    """The command is process 1 where keeper-exec was: same id, so signals and exit codes are its own."""
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
        said, _ = process.communicate(timeout=60)
        assert (int(said), process.returncode) == (process.pid, -15)


def test_options_of_the_command_are_its_own(shell: Shell) -> None:
    """After the first -- nothing is read as an option of keeper-exec."""
    file = shell.file(b"A=1\0")
    command: list[str | Path] = [shell.built / "show", "--file", "/x", "--", "--help"]
    outcome = shell.call(["--file", file, "--", *command])
    assert outcome.shown[0][1:] == [b"--file", b"/x", b"--", b"--help"]


USAGE = {
    "nothing": ([], "--file"),
    "no-file": (["--", "true"], "--file"),
    "no-command": (["--file", "F", "--"], "no command"),
    "no-dashes": (["--file", "F"], "no command"),
    "file-without-path": (["--file"], "--file: unknown, or its value is missing"),
    "unknown-option": (["--files", "F", "--", "true"], "--files: unknown"),
    "command-without-dashes": (["--file", "F", "true"], "true: unknown"),
    "override-twice": (["--override", "A", "--override", "B", "--file", "F", "--", "true"], "--override B"),
    "override-empty": (["--override", "", "--file", "F", "--", "true"], "--override NAME"),
    "override-empty-name": (["--override", "A,,B", "--file", "F", "--", "true"], "--override A,,B"),
    "override-bad-name": (["--override", "A-B", "--file", "F", "--", "true"], "--override A-B"),
    "override-ends-with-comma": (["--override", "A,", "--file", "F", "--", "true"], "--override A,"),
    "nine-files": ([*["--file", "F"] * 9, "--", "true"], "9 times --file"),
    "ready-without-path": (["--ready"], "--ready"),
    "ready-with-two-paths": (["--ready", "/", "/"], "--help"),
    "help-with-more": (["--help", "x"], "--help"),
}


@pytest.mark.parametrize(("arguments", "said"), USAGE.values(), ids=USAGE.keys())
def test_wrong_use(program: Path, arguments: list[str], said: str) -> None:
    """A wrong command line ends with 64 and says what is wrong, before any file is read."""
    assert_refused(run([program, *arguments]), os.EX_USAGE, said)


def test_eight_files_of_the_largest_size_fit(shell: Shell) -> None:
    """The last of eight files is read to its end and judged like the first."""
    filler = [b"".join(b"%c%d=%s\0" % (65 + f, n, b"x" * 131_060) for n in range(7)) for f in range(7)]
    last = b"Z=" + b"x" * 100 + b"\0" + b"9=\0"
    assert_refused(shell.give(*filler, last), os.EX_CONFIG, str(shell.folder / "variables-7"), "entry 2 has a bad name")


# Probe, version, help


def test_ready(program: Path, tmp_path: Path) -> None:
    """The probe succeeds silently when the path exists, through symlinks too, and else says which is missing."""
    (tmp_path / "link").symlink_to("ready")
    missing = run([program, "--ready", tmp_path / "link"])
    assert_refused(missing, 1, f"{tmp_path / 'link'}: not ready: ")
    (tmp_path / "ready").touch()
    assert run([program, "--ready", tmp_path / "link"]) == Outcome(0, b"", "")


def test_version_and_help(program: Path) -> None:
    """The version is the one that it was built with; the help fits on a screen."""
    assert run([program, "--version"]) == Outcome(0, b"keeper-exec 1.2.3\n", "")
    helped = run([program, "--help"])
    assert (helped.code, helped.stderr) == (0, "")
    assert helped.stdout.startswith(b"usage: keeper-exec --file PATH")
    assert helped.stdout.endswith(b"\n")


# Images without anything


@pytest.fixture
def scratch(built: Path, tmp_path: Path) -> Path:
    """Return a root directory with keeper-exec, one more static program and a file of variables: no shell, no libc."""
    if os.geteuid() != 0 or shutil.which("chroot") is None:
        pytest.skip("a root directory of one's own takes root and chroot")
    tmp_path.chmod(0o755)
    for name in ("keeper-exec", "show"):
        shutil.copy(built / name, tmp_path / name)
    (tmp_path / "variables").write_bytes(b"A=" + SECRET.encode() + b"\0")
    (tmp_path / "variables").chmod(0o444)
    return tmp_path


NOBODY = ("chroot", "--userspec=65532:65532")


@pytest.mark.parametrize("command", ["/show", "show"])
def test_runs_in_an_empty_image(scratch: Path, command: str) -> None:
    """In a root of two static programs, as nobody in particular, the command gets its variables."""
    argv: list[str | Path] = [*NOBODY, scratch, "/keeper-exec", "--file", "/variables", "--", command]
    outcome = run(argv, OWN | {"PATH": f"{os.environ['PATH']}:/"})
    assert outcome.environment[b"A"] == SECRET.encode()


def test_probe_in_an_empty_image(scratch: Path) -> None:
    """The probe needs nothing from the image."""
    probe: list[str | Path] = [*NOBODY, scratch, "/keeper-exec", "--ready"]
    assert (run([*probe, "/variables"], os.environ).code, run([*probe, "/absent"], os.environ).code) == (0, 1)


def test_file_of_another_user_is_no_permission(scratch: Path) -> None:
    """A file that this user may not read is a question of permission, not of configuration."""
    (scratch / "variables").chmod(0o400)
    outcome = run([*NOBODY, scratch, "/keeper-exec", "--file", "/variables", "--", "/show"], os.environ)
    assert_refused(outcome, os.EX_NOPERM, "/variables: ", os.strerror(errno.EACCES))


def test_binary_is_static_and_small(program: Path) -> None:
    """No interpreter, no shared library, no executable stack, and a size that no memory volume notices."""
    headers = subprocess.run(
        ["readelf", "--wide", "--program-headers", "--dynamic", program], capture_output=True, check=True, text=True
    ).stdout
    assert re.search(r"GNU_STACK.* RW ", headers)
    assert ("INTERP" in headers, "NEEDED" in headers) == (False, False)
    if Path(_compiler()).name == "musl-gcc":
        assert program.stat().st_size < 64 * KIBIBYTE


# Hostile files, systematically

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
    """Return the environment that the contract promises, or None where it says refuse."""
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
def test_every_file_is_delivered_whole_or_refused(shell: Shell, content: bytes, overrides: set[bytes]) -> None:
    """Whatever a file holds, the outcome is what an independent reading of the contract says."""
    own = {name.encode(): value.encode() for name, value in OWN.items()}
    promised = expected(content, overrides, own)
    outcome = shell.give(content, override=b",".join(sorted(overrides)).decode())
    if promised is None:
        assert_refused(outcome, os.EX_CONFIG, "variables-0: ")
    else:
        assert outcome.environment == promised


def _sanitized(source: Path, target: Path, *options: str) -> None:
    """Build with gcc's address and undefined-behaviour sanitizers."""
    flags = ["-std=c11", "-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", f"-I{SOURCES}"]
    done = subprocess.run(["gcc", *flags, *options, source, "-o", target], capture_output=True, check=False, text=True)
    if done.returncode != 0 and "asan" in done.stderr:
        pytest.skip("gcc has no sanitizer libraries here")
    assert done.returncode == 0, done.stderr


needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc, for its sanitizers, is not installed")


@needs_gcc
def test_fuzzing_finds_nothing(tmp_path: Path) -> None:
    """Three seconds of guided mutations, always the same ones, break no promise and no sanitizer's rule."""
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
    """The whole program, not only its parser, breaks no rule of C on the ways through it."""
    _sanitized(SOURCES / "keeper-exec.c", shell.folder / "sanitized")
    files = [option for n, content in enumerate(contents) for option in ("--file", shell.file(content, f"v{n}"))]
    outcome = run([shell.folder / "sanitized", *files, *options, "--", shell.built / command])
    assert (outcome.code, "Sanitizer" in outcome.stderr, "runtime error" in outcome.stderr) == (code, False, False)


@needs_gcc
@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")
@pytest.mark.parametrize(("contents", "options", "command", "code"), CLEAN.values(), ids=CLEAN.keys())
def test_valgrind_is_silent(shell: Shell, contents: list[bytes], options: list[str], command: str, code: int) -> None:
    """Valgrind sees no bad access, no use of what was never set and no leak, on a build for the machine's own libc."""
    subprocess.run(["gcc", "-g", "-O1", SOURCES / "keeper-exec.c", "-o", shell.folder / "dynamic"], check=True)
    files = [option for n, content in enumerate(contents) for option in ("--file", shell.file(content, f"v{n}"))]
    log = shell.folder / "valgrind.log"
    valgrind = ["valgrind", "-q", "--leak-check=full", "--show-leak-kinds=definite,possible", f"--log-file={log}"]
    outcome = run([*valgrind, shell.folder / "dynamic", *files, *options, "--", shell.built / command])
    assert (outcome.code, log.read_text()) == (code, "")


# The package


def test_packaged_binary_is_found_or_its_lack_explained(built: Path, tmp_path: Path) -> None:
    """keeper_exec_path() is the program beside its source; where none was built, the error says how to build it."""
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
