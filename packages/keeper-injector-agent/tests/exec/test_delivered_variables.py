"""What a command gets from ``keeper-exec``: its variables, and nothing else changed."""

from __future__ import annotations

import pytest
from exec_shell import KIBIBYTE, OWN, Shell


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
