"""``variables`` files have the form of a process environment."""

from __future__ import annotations

import pytest
from format_samples import LINES, SECRET, write_bytes, write_text
from hypothesis import given

from keeper_injector_common.errors import FormatError
from keeper_injector_common.records.formats import write_exec_variables

REJECTED = {
    "nul": (f"{SECRET}\0", "variable PASSWORD: contains a NUL"),
    "size": (SECRET * 20_000, "variable PASSWORD: is over 128 KiB"),
}


@pytest.mark.parametrize(("value", "fault"), REJECTED.values(), ids=REJECTED.keys())
def test_rejected_value_gives_name_fault_and_alternative(value: str, fault: str) -> None:
    """A value that keeper-exec would reject is an error with an alternative and without the value."""
    with pytest.raises(FormatError, match=rf"{fault}.*; .*as a file") as caught:
        write_text("variables", {"login": "admin", "password": value})
    assert SECRET not in str(caught.value)


TOO_MANY = {
    "number": {f"A{n}": "" for n in range(4097)},
    "bytes": {f"A{n}": "x" * 120_000 for n in range(9)},
}


@pytest.mark.parametrize("variables", TOO_MANY.values(), ids=TOO_MANY.keys())
def test_too_many_variables_are_rejected(variables: dict[str, str]) -> None:
    """A file that keeper-exec would reject as a whole is rejected before it is written."""
    with pytest.raises(FormatError, match=r"^variables: more than"):
        write_exec_variables(variables)


@given(LINES)
def test_values_are_read_back(fields: dict[str, str]) -> None:
    """Entries have the form of a process environment and hold every value unchanged; NUL is rejected."""
    if any("\0" in value for value in fields.values()):
        with pytest.raises(FormatError, match="NUL"):
            write_bytes("variables", fields)
        return
    *entries, last = write_text("variables", fields).split("\0")
    assert last == ""
    assert dict(entry.split("=", 1) for entry in entries) == {name.upper(): value for name, value in fields.items()}
