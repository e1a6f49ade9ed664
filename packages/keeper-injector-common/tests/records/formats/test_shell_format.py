"""``shell`` files are sourced in dash and bash."""

from __future__ import annotations

import subprocess

import pytest
from format_samples import LINES, PEM, RECORD, SECRET, SLOW, write_bytes, write_text
from hypothesis import example, given, settings

from keeper_injector_common.errors import FormatError

WITH_PROCESSES = settings(SLOW, max_examples=60)


def test_record_with_values_of_every_shape() -> None:
    """Names, order and flattening are part of the contract; a new version must not change them."""
    assert (
        write_text("shell", RECORD)
        == """\
export LOGIN='admin'
export PASSWORD='s3ntinel-Ω'
export ADDRESS_STREET1='1 Main St'
export ADDRESS_CITY=''
export PHONE_0_NUMBER='555'
export PHONE_0_TYPE='Work'
export PHONE_1_NUMBER='556'
export TAGS=''
export ACTIVE='true'
export PORT='5432'
export API_KEY='k'
"""
    )


def test_value_with_nul_is_rejected() -> None:
    """A NUL character is an error with the variable and alternatives, and without the value."""
    with pytest.raises(
        FormatError, match=r"variable PASSWORD: the value has a NUL character.*; .*use json or raw"
    ) as caught:
        write_text("shell", {"login": "admin", "password": f"{SECRET}\0"})
    assert SECRET not in str(caught.value)


def test_two_fields_with_one_name_are_rejected() -> None:
    """A value never silently replaces another one."""
    with pytest.raises(FormatError, match="become the same variable A_B"):
        write_text("shell", {"a": {"b": "1"}, "a b": "2"})


def as_shell_reads(shell: str, written: bytes, count: int) -> list[bytes]:
    """Source a file in *shell*, with every error fatal, and return the values that it set."""
    script = f'set -eu; . /dev/stdin; printf "%s\\0" {" ".join(f"${{V{n}}}".join(chr(34) * 2) for n in range(count))}'
    done = subprocess.run([shell, "-c", script], input=written, capture_output=True, check=True, env={})
    assert done.stderr == b""
    return done.stdout.split(b"\0")[:-1]


@pytest.mark.parametrize("shell", ["dash", "bash"])
@WITH_PROCESSES
@given(fields=LINES)
@example(fields={"v0": "'; touch /tmp/pwned; '", "v1": "$(id)`id`${HOME}", "v2": "\\'\n'\\''", "v3": "!!\r\n\t*~"})
@example(fields={"v0": PEM, "v1": "-n", "v2": "\\", "v3": ""})
def test_shell_reads_the_values_and_runs_nothing(shell: str, fields: dict[str, str]) -> None:
    """A shell that sources the file gets every value unchanged and runs no command; NUL is rejected."""
    if any("\0" in value for value in fields.values()):
        with pytest.raises(FormatError, match="NUL"):
            write_bytes("shell", fields)
        return
    read = as_shell_reads(shell, write_bytes("shell", fields), len(fields))
    assert read == [value.encode() for value in fields.values()]
