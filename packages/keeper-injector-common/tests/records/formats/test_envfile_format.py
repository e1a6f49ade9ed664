"""``envfile`` files are read back as the kubelet does."""

from __future__ import annotations

import re

import pytest
from format_samples import LINES, SECRET, write_bytes, write_text
from hypothesis import example, given

from keeper_injector_common.errors import FormatError
from keeper_injector_common.records.formats import write_envfile

REJECTED = {
    "quote": (f"{SECRET}'", "variable PASSWORD: contains a single quote", "env-mode: exec"),
    "return": (f"{SECRET}\r\n", "variable PASSWORD: contains a carriage return", "env-mode: exec"),
    "nul": (f"{SECRET}\0", "variable PASSWORD: contains a NUL", "as a file"),
    "size": (SECRET * 4000, "variable PASSWORD: .* 32 KiB", "env-mode: exec"),
}


@pytest.mark.parametrize(("value", "fault", "alternative"), REJECTED.values(), ids=REJECTED.keys())
def test_rejected_value_gives_name_fault_and_alternative(value: str, fault: str, alternative: str) -> None:
    """A value that the kubelet cannot read is an error with an alternative and without the value."""
    with pytest.raises(FormatError, match=rf"{fault}.*; .*{alternative}") as caught:
        write_text("envfile", {"login": "admin", "password": value})
    assert SECRET not in str(caught.value)


def test_too_many_variables_are_rejected() -> None:
    """A file that the kubelet would reject as a whole is rejected before it is written."""
    with pytest.raises(FormatError, match=r"^variables: more than"):
        write_envfile({f"A{n}": "x" * 30_000 for n in range(3)})


def as_kubelet_reads(written: bytes) -> dict[str, str]:
    """Read as Kubernetes 1.35 does (pkg/kubelet/util/env): by lines, whose ends lose a carriage return."""
    lines = iter([line.removesuffix("\r") for line in written.decode().split("\n")])
    variables = {}
    for line in lines:
        start = line.lstrip(" \t")
        if not start or start.startswith("#"):
            continue
        name, _, rest = start.partition("=")
        assert rest.startswith("'")
        assert name == name.rstrip(" \t")
        value, rest = "", rest[1:]
        while "'" not in rest:
            value, rest = f"{value}{rest}\n", next(lines)
        end, _, after = rest.partition("'")
        assert not after.strip(" \t")
        variables[name] = value + end
    return variables


@given(LINES)
@example({"v0": "a\r\nb"})
@example({"v0": "a\r", "v1": "\n#\nV9=1\n"})
def test_kubelet_reads_the_values(fields: dict[str, str]) -> None:
    """The kubelet reads every value unchanged, or the value is rejected with another way to deliver it."""
    unwritable = [name for name, value in fields.items() if re.search(r"'|\0|\r\n", value)]
    if unwritable:
        with pytest.raises(FormatError, match=f"variable {unwritable[0].upper()}: .*; (set|deliver)"):
            write_bytes("envfile", fields)
        return
    written = write_bytes("envfile", fields)
    assert as_kubelet_reads(written) == {name.upper(): value for name, value in fields.items()}
