"""Names of environment variables: how they follow from field names, and which ones a secret cannot set."""

from __future__ import annotations

from typing import Any

import pytest
from format_samples import SECRET, write_text
from hypothesis import given
from hypothesis import strategies as st

from keeper_injector_common.errors import FormatError
from keeper_injector_common.records.formats import (
    to_variable_name,
    to_variable_names,
    write_envfile,
    write_exec_variables,
)
from keeper_injector_common.records.formats.variable_names import check_variable, is_forbidden_variable

NAMES = {
    "login": "LOGIN",
    "API Key": "API_KEY",
    "api-key.v2": "API_KEY_V2",
    "2fa": "_2FA",
    "mot de passe é": "MOT_DE_PASSE__",
    "": "_",
    "日本": "__",
    "a=b\nPATH": "A_B_PATH",
    "straße": "STRASSE",
}


@pytest.mark.parametrize(("field", "name"), NAMES.items())
def test_name_follows_from_the_field(field: str, name: str) -> None:
    """A variable is named like its field, in upper case and with characters that every shell accepts."""
    assert to_variable_name(field) == name
    assert write_text("shell", {field: "x"}) == f"export {name}='x'\n"


@given(st.text())
def test_any_field_gives_a_valid_name(field: str) -> None:
    """Every field name becomes a valid name of a variable, unless the name is forbidden."""
    name = to_variable_name(field)
    if not is_forbidden_variable(name):
        check_variable(name, "value")


def test_prefix_is_kept_as_it_is() -> None:
    """A prefix comes first and is not changed; before a digit, it replaces the leading ``_``."""
    assert to_variable_names("t", {"login": "a", "2fa": "b"}, prefix="Db_") == {"Db_LOGIN": "a", "Db_2FA": "b"}


@pytest.mark.parametrize("name", ["env", "shell", "variables", "envfile"])
@pytest.mark.parametrize(
    "field",
    ["path", "HOME", "ld-preload", "Ld_Library_Path", "bash env", "pythonstartup", "node options", "https proxy"],
)
def test_field_cannot_set_a_protected_variable(name: str, field: str) -> None:
    """A field named like a protected variable is rejected, so that editing a record cannot run code."""
    with pytest.raises(FormatError, match=rf"^record 'Prod DB', field '{field}': .* controls more"):
        write_text(name, {field: SECRET})


@pytest.mark.parametrize("name", ["env", "shell", "variables", "envfile"])
def test_final_name_decides_whether_a_variable_is_protected(name: str) -> None:
    """The final name is checked, including a prefix and the keys of a structured field."""
    with pytest.raises(FormatError, match="LD_PRELOAD controls more"):
        write_text(name, {"ld": {"preload": "x"}})
    assert write_text(name, {"app": {"path": "x"}}).startswith(("APP_PATH=", "export APP_PATH="))
    with pytest.raises(FormatError, match="PATH controls more"):
        to_variable_names("t", {"th": "x"}, prefix="PA")


@pytest.mark.parametrize("write", [write_exec_variables, write_envfile], ids=["variables", "envfile"])
def test_explicit_name_sets_protected_but_not_forbidden_variables(write: Any) -> None:
    """An explicit name sets PATH but no variable of the program loader; an invalid name is rejected."""
    assert b"PATH=" in write({"PATH": "/app/bin"})
    for name in ("LD_PRELOAD", "GLIBC_TUNABLES"):
        with pytest.raises(FormatError, match=f"^variable {name}: controls the program loader"):
            write({name: "x"})
    for name in ("", "1A", "A-B", "A=B", "A\n", "É"):
        with pytest.raises(FormatError, match="is not the name of a variable"):
            write({name: "x"})
    with pytest.raises(FormatError, match="contains a lone surrogate"):
        write({"A": "\ud800"})
