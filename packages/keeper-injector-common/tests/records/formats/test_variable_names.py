"""Names of environment variables: how they follow from field names, and which ones a secret cannot set."""

from __future__ import annotations

from typing import Any

import pytest
from format_samples import RECORDS, SECRET, write_text
from hypothesis import given
from hypothesis import strategies as st

from keeper_injector_common.errors import FormatError
from keeper_injector_common.records.formats import (
    RecordContent,
    ordinary_fields,
    to_variable_name,
    variable_entries,
    write_content,
    write_envfile,
    write_exec_variables,
)
from keeper_injector_common.records.formats.ordinary_fields import is_ordinary
from keeper_injector_common.records.formats.variable_names import (
    check_variable,
    is_forbidden_variable,
    is_protected_variable,
)


def prefixed(content: RecordContent, prefix: str) -> dict[str, str]:
    """Return the variables of a record with a prefix."""
    return {entry.name: entry.value for entry in variable_entries(content, prefix=prefix)}


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
    assert prefixed(RecordContent("t", {"login": "a", "2fa": "b"}), "Db_") == {
        "Db_LOGIN": "a",
        "Db_2FA": "b",
    }


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
        prefixed(RecordContent("t", {"th": "x"}), "PA")


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


ORDINARY = {
    "login": {"login": "a"},
    "second password": {"password_2": "a"},
    "another case": {"Password": "a", "URL": "b"},
    "structured": {
        "host": {"hostName": "db", "port": "5432"},
        "phone": [{"number": "1", "ext": "2"}],
        "keyPair": {"privateKey": "k"},
    },
    "label of a record type": {"passphrase": "a", "type": "postgresql", "notes": "n"},
}
STEERING = {
    "trust": {"NODE_TLS_REJECT_UNAUTHORIZED": "0"},
    "certificates": {"node extra ca certs": "/tmp/ca.pem"},
    "code": {"GIT_SSH_COMMAND": "sh -c id"},
    "options": {"JAVA_OPTS": "-javaagent:x"},
    "cluster": {"KUBECONFIG": "/tmp/config"},
    "inside a structured value": {"secret": {"key_base": "x"}},
    "inside a list": {"secret": ["a", {"KEY": "x"}]},
    "number in the middle": {"password_2_x": "x"},
}


@pytest.mark.parametrize("name", ["env", "shell", "variables", "envfile"])
@pytest.mark.parametrize("fields", ORDINARY.values(), ids=ORDINARY.keys())
def test_ordinary_fields_become_variables_without_being_listed(name: str, fields: Any) -> None:
    """A record of Keeper's own types needs neither a prefix nor a list of fields."""
    content = RecordContent("Prod DB", fields, chosen_by_record=True)
    assert write_content(name, content) == write_content(name, RecordContent("Prod DB", fields))


@pytest.mark.parametrize("name", ["env", "shell", "variables", "envfile"])
@pytest.mark.parametrize("fields", STEERING.values(), ids=STEERING.keys())
def test_editing_a_record_cannot_steer_the_application(name: str, fields: Any) -> None:
    """A field with another name becomes a variable only if the pod lists it or sets a prefix."""
    content = RecordContent("Prod DB", {"login": SECRET, **fields}, chosen_by_record=True)
    with pytest.raises(
        FormatError, match=r"is not an ordinary field of Keeper.*list the fields that you want"
    ) as found:
        write_content(name, content)
    assert SECRET not in str(found.value)
    assert write_content(name, RecordContent("Prod DB", fields))
    assert all(variable.startswith("DB_") for variable in prefixed(content, "DB_"))
    with pytest.raises(FormatError, match="not an ordinary field"):
        prefixed(content, "DB")


@given(RECORDS, st.sampled_from(["", "A", "DB", "DB_"]))
def test_the_names_of_a_record_are_ordinary_or_begin_with_the_prefix(fields: dict[str, Any], prefix: str) -> None:
    """Whatever a record contains, it sets only variables with the pod's prefix, or from ordinary fields, or none."""
    try:
        names = set(prefixed(RecordContent("t", fields, chosen_by_record=True), prefix))
    except FormatError:
        return
    assert prefix.endswith("_") or all(is_ordinary(field, value) for field, value in fields.items())
    assert all(name.startswith(prefix) for name in names)


def test_no_ordinary_field_is_a_protected_variable() -> None:
    """The list of ordinary fields contains nothing that steers a process."""
    names = [to_variable_name(name) for name in ordinary_fields._NAMES]
    assert [name for name in names if is_protected_variable(name)] == []
