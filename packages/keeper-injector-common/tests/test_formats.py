"""What every format owes its users: known names, deterministic bytes, and refusals that help and keep secrets."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from keeper_injector_common.errors import FormatError
from keeper_injector_common.records import formats
from keeper_injector_common.records.formats import variable_names

SECRET = "s3ntinel-Ω"
RECORD: dict[str, Any] = {
    "login": "admin",
    "password": SECRET,
    "address": {"street1": "1 Main St", "city": None},
    "phone": [{"number": "555", "type": "Work"}, {"number": "556"}],
    "tags": [],
    "active": True,
    "port": 5432,
    "API Key": "k",
}
TEXT_FORMATS = ["json", "env", "properties", "yaml", "ini", "toml", "shell"]


def render(name: str, fields: dict[str, Any]) -> str:
    """Write a record of these fields."""
    return formats.write_content(name, formats.RecordContent("Prod DB", fields)).decode()


EXPECTED = {
    "env": """\
LOGIN=admin
PASSWORD=s3ntinel-Ω
ADDRESS_STREET1=1 Main St
ADDRESS_CITY=
PHONE_0_NUMBER=555
PHONE_0_TYPE=Work
PHONE_1_NUMBER=556
TAGS=
ACTIVE=true
PORT=5432
API_KEY=k
""",
    "shell": """\
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
""",
    "properties": """\
login=admin
password=s3ntinel-\\u03A9
address.street1=1 Main St
address.city=
phone[0].number=555
phone[0].type=Work
phone[1].number=556
tags=
active=true
port=5432
API\\ Key=k
""",
    "ini": """\
[secret]
login=admin
password=s3ntinel-Ω
address_street1=1 Main St
address_city=
phone_0_number=555
phone_0_type=Work
phone_1_number=556
tags=
active=true
port=5432
API Key=k
""",
    "toml": """\
login = "admin"
password = "s3ntinel-Ω"
address = { street1 = "1 Main St" }
phone = [{ number = "555", type = "Work" }, { number = "556" }]
tags = []
active = true
port = 5432
"API Key" = "k"
""",
    "yaml": """\
login: admin
password: "s3ntinel-Ω"
address:
  street1: "1 Main St"
  city: null
phone:
- number: "555"
  type: Work
- number: "556"
tags: []
active: true
port: 5432
"API Key": k
""",
}


@pytest.mark.parametrize(("name", "expected"), EXPECTED.items(), ids=EXPECTED.keys())
def test_record_of_every_shape(name: str, expected: str) -> None:
    """Names, order and flattening are part of the contract: a new version must not move them."""
    assert render(name, RECORD) == expected


def test_formats_are_those_that_annotations_offer() -> None:
    """What `format:` can say is one list, in the order of the documentation."""
    assert list(formats.FORMATS) == [
        *("json", "env", "properties", "yaml", "ini", "raw", "toml", "shell", "dockerconfigjson", "pkcs12")
    ]
    assert list(formats.VARIABLE_FORMATS) == ["variables", "envfile"]
    for name, form in {**formats.FORMATS, **formats.VARIABLE_FORMATS}.items():
        assert form.name == name
        assert form.description


def test_unknown_format_names_the_known() -> None:
    """A format of a newer version is an error that lists what this one knows."""
    with pytest.raises(FormatError, match=r"^format 'jsno': is unknown to this version; use json, env, properties"):
        render("jsno", {})


@pytest.mark.parametrize("name", [*TEXT_FORMATS, "variables", "envfile"])
def test_equal_content_gives_equal_bytes(name: str) -> None:
    """Nobody is notified of a refresh that changed nothing."""
    assert render(name, RECORD) == render(name, json.loads(json.dumps(RECORD)))
    assert {**formats.FORMATS, **formats.VARIABLE_FORMATS}[name].repeatable


@pytest.mark.parametrize("name", TEXT_FORMATS)
def test_record_without_fields(name: str) -> None:
    """An empty record is a small valid file."""
    empty = {"json": "{}\n", "yaml": "{}\n", "ini": "[secret]\n"}
    assert render(name, {}) == empty.get(name, "")


def test_content_does_not_print_values() -> None:
    """Neither repr nor str of what a format gets holds a value."""
    content = formats.RecordContent("title", {"password": SECRET}, {"key.pem": SECRET.encode()})
    assert SECRET not in f"{content!r} {content}"
    assert SECRET.encode() not in repr(content).encode()


NO_FORMAT_CAN = {
    "high surrogate": ("\ud800", "contains a lone surrogate"),
    "low surrogate": ("a\udfffb", "contains a lone surrogate"),
    "deep surrogate": ({"a": [{"b": "\udc00"}]}, "contains a lone surrogate"),
    "surrogate in a name": ({"\ud800": "a"}, "contains a lone surrogate"),
    "not a number": (math.nan, "contains NaN or infinity"),
    "infinite": ([math.inf], "contains NaN or infinity"),
}


@pytest.mark.parametrize("name", [*formats.FORMATS, *formats.VARIABLE_FORMATS])
@pytest.mark.parametrize(("value", "said"), NO_FORMAT_CAN.values(), ids=NO_FORMAT_CAN.keys())
def test_what_no_format_can_hold(name: str, value: Any, said: str) -> None:
    """What is no text and no number is refused by all formats alike, by its field."""
    with pytest.raises(FormatError, match=rf"^record 'Prod DB', field 'odd': {said}"):
        render(name, {"odd": value})


@pytest.mark.parametrize("name", ["json", "yaml", "toml", "env", "properties"])
@pytest.mark.parametrize("depth", [400, 990, 100_000])
def test_nesting_without_end(name: str, depth: int) -> None:
    """A value nested too deeply is an error of that record, not the end of the process."""
    deep: Any = SECRET
    for _ in range(depth):
        deep = [deep]
    try:
        render(name, {"deep": deep})
    except FormatError as error:
        assert str(error) == "record 'Prod DB': a value is nested too deeply; deliver it by itself"  # noqa: PT017
    else:
        assert depth < 1000


REFUSED = {
    "env newline": ("env", f"{SECRET}\n", "variable PASSWORD: the value has a line break", "shell, json or yaml"),
    "env edge": ("env", f" {SECRET}", "has leading or trailing white space", "shell, json or yaml"),
    "env quote": ("env", f"'{SECRET}'", "has a leading quote", "shell, json or yaml"),
    "env hash": ("env", f"{SECRET}#1", "has a '#'", "shell, json or yaml"),
    "env backslash": ("env", f"{SECRET}\\n", "has a backslash", "shell, json or yaml"),
    "env dollar": ("env", f"{SECRET}$x", r"has a '\$' that starts a variable", "shell, json or yaml"),
    "env size": ("env", SECRET * 9000, "longer than the 64 KiB that docker reads", "json or raw"),
    "ini newline": ("ini", f"{SECRET}\nadmin=1", "field 'password': the value has a line break", "json, yaml or toml"),
    "ini percent": ("ini", f"{SECRET}%", "has a '%'", "json, yaml or toml"),
    "ini comment": ("ini", f"{SECRET} ; x", "has a ';' or '#' where a comment could start", "json, yaml or toml"),
    "shell nul": ("shell", f"{SECRET}\0", "variable PASSWORD: the value has a NUL character", "use json or raw"),
    "toml null": ("toml", [SECRET, None], "a list contains null", "use json or yaml"),
    "toml number": ("toml", [SECRET, 2**63], "exceeds the 64 bits", "use json"),
    "variables nul": ("variables", f"{SECRET}\0", "variable PASSWORD: contains a NUL", "as a file"),
    "variables size": ("variables", SECRET * 20_000, "variable PASSWORD: is over 128 KiB", "as a file"),
    "envfile quote": ("envfile", f"{SECRET}'", "variable PASSWORD: contains a single quote", "env-mode: exec"),
    "envfile return": ("envfile", f"{SECRET}\r\n", "variable PASSWORD: contains a carriage return", "env-mode: exec"),
    "envfile nul": ("envfile", f"{SECRET}\0", "variable PASSWORD: contains a NUL", "as a file"),
    "envfile size": ("envfile", SECRET * 4000, "variable PASSWORD: .* 32 KiB", "env-mode: exec"),
}


@pytest.mark.parametrize(("name", "value", "said", "instead"), REFUSED.values(), ids=REFUSED.keys())
def test_refusal_says_where_what_and_what_else(
    name: str,
    value: Any,
    said: str,
    instead: str,
) -> None:
    """A value that a format cannot hold is an error with the place and the way out, and without the value."""
    with pytest.raises(FormatError, match=rf"{said}.*; .*{instead}") as caught:
        render(name, {"login": "admin", "password": value})
    assert SECRET not in str(caught.value)


ACCEPTED = [
    "",
    "a b",
    "p@ss;w&rd|",
    "it's",
    'say "hi"',
    "a=b=c",
    "50$",
    "$ $",
    "https://u:p@h:1/x?a=1&b=%20",
    "C:",
    "é😀",
]


@pytest.mark.parametrize("value", ACCEPTED)
def test_env_holds_what_its_readers_agree_on(value: str) -> None:
    """The format for docker and dotenv refuses only what it must."""
    assert render("env", {"value": value}) == f"VALUE={value}\n"


@pytest.mark.parametrize("value", [value for value in ACCEPTED if "%" not in value] + ["a#b", "a;b", "a$b", "C:\\dir"])
def test_ini_holds_what_its_readers_agree_on(value: str) -> None:
    """The format for configparser refuses only what it must."""
    assert render("ini", {"value": value}) == f"[secret]\nvalue={value}\n"


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
def test_variable_names(field: str, name: str) -> None:
    """A variable is called like its field, in upper case and in characters that every shell knows."""
    assert variable_names.to_variable_name(field) == name
    assert render("shell", {field: "x"}) == f"export {name}='x'\n"


def test_prefix_of_variable_names() -> None:
    """A prefix stands first, as it is written; it may take the place of the ``_`` before a digit."""
    assert variable_names.to_variable_names("t", {"login": "a", "2fa": "b"}, prefix="Db_") == {
        "Db_LOGIN": "a",
        "Db_2FA": "b",
    }


@pytest.mark.parametrize("name", ["env", "shell", "variables", "envfile"])
@pytest.mark.parametrize(
    "field",
    ["path", "HOME", "ld-preload", "Ld_Library_Path", "bash env", "pythonstartup", "node options", "https proxy"],
)
def test_field_cannot_take_over_a_process(name: str, field: str) -> None:
    """A field called like a variable that steers the process is refused: whoever edits a record runs no code."""
    with pytest.raises(FormatError, match=rf"^record 'Prod DB', field '{field}': .* controls more"):
        render(name, {field: SECRET})


@pytest.mark.parametrize("name", ["env", "shell", "variables", "envfile"])
def test_guarded_name_behind_a_prefix_or_a_flattened_key(name: str) -> None:
    """It is the final name that counts, also when it comes from a structured field."""
    with pytest.raises(FormatError, match="LD_PRELOAD controls more"):
        render(name, {"ld": {"preload": "x"}})
    assert render(name, {"app": {"path": "x"}}).startswith(("APP_PATH=", "export APP_PATH="))
    with pytest.raises(FormatError, match="PATH controls more"):
        variable_names.to_variable_names("t", {"th": "x"}, prefix="PA")


@pytest.mark.parametrize("write", [formats.write_exec_variables, formats.write_envfile], ids=["variables", "envfile"])
def test_explicit_name_of_a_variable(write: Any) -> None:
    """Who asks for PATH by name gets it; the loader's variables nobody gets; a name is a name."""
    assert b"PATH=" in write({"PATH": "/app/bin"})
    for name in ("LD_PRELOAD", "GLIBC_TUNABLES"):
        with pytest.raises(FormatError, match=f"^variable {name}: controls the program loader"):
            write({name: "x"})
    for name in ("", "1A", "A-B", "A=B", "A\n", "É"):
        with pytest.raises(FormatError, match="is not the name of a variable"):
            write({name: "x"})
    with pytest.raises(FormatError, match="contains a lone surrogate"):
        write({"A": "\ud800"})


TOO_MANY = {
    "variables": (formats.write_exec_variables, {f"A{n}": "" for n in range(4097)}),
    "variables in bytes": (formats.write_exec_variables, {f"A{n}": "x" * 120_000 for n in range(9)}),
    "envfile": (formats.write_envfile, {f"A{n}": "x" * 30_000 for n in range(3)}),
}


@pytest.mark.parametrize(("write", "many"), TOO_MANY.values(), ids=TOO_MANY.keys())
def test_too_many_variables(write: Any, many: dict[str, str]) -> None:
    """What the reader would refuse as a whole is refused before it is written."""
    with pytest.raises(FormatError, match=r"^variables: more than"):
        write(many)


COLLISIONS = {
    "env case": ("env", {"api key": "a", "API-KEY": "b"}, "'api key' and 'API-KEY' both become API_KEY"),
    "shell flattened": ("shell", {"a": {"b": "1"}, "a b": "2"}, "both become A_B"),
    "env same flat name": ("env", {"a": {"b": "1"}, "a_b": "2"}, "two values are named 'a_b'"),
    "properties": ("properties", {"a.b": "1", "a": {"b": "2"}}, "two values are named 'a.b'"),
    "ini case": ("ini", {"Key": "1", "key": "2"}, "'Key' and 'key' are the same name in an INI file"),
    "ini cleaned": ("ini", {"a:b": "1", "a=b": "2"}, "are the same name in an INI file"),
}


@pytest.mark.parametrize(("name", "fields", "said"), COLLISIONS.values(), ids=COLLISIONS.keys())
def test_two_fields_of_one_name(name: str, fields: dict[str, Any], said: str) -> None:
    """No value silently takes the place of another."""
    with pytest.raises(FormatError, match=said):
        render(name, fields)


def test_raw() -> None:
    """One value is written byte for byte; several are refused with the way to choose."""
    assert render("raw", {"password": f" {SECRET}\0\r\n"}) == f" {SECRET}\0\r\n"
    assert render("raw", {"host": {"hostName": "h", "port": "1"}}) == '{"hostName":"h","port":"1"}'
    assert render("raw", {"none": None}) == ""
    assert render("raw", {"flag": True}) == "true"
    with pytest.raises(FormatError, match=r"^record 'Prod DB': .* login, password; write record\[field\]$"):
        render("raw", {"login": "a", "password": SECRET})
    with pytest.raises(FormatError, match=r"the record has none;"):
        render("raw", {})


REGISTRIES = {
    "host": ({"host": {"hostName": "registry.example", "port": "5000"}}, "registry.example:5000"),
    "host without port": ({"host": {"hostName": "registry.example", "port": ""}}, "registry.example"),
    "number as port": ({"host": {"hostName": "registry.example", "port": 443}}, "registry.example:443"),
    "url": ({"url": "https://registry.example/v2/"}, "https://registry.example/v2/"),
    "registry first": ({"url": "https://no.example", "registry": "ghcr.io"}, "ghcr.io"),
    "empty host": ({"host": {}, "url": "quay.io"}, "quay.io"),
    "hub": ({"url": "https://docker.io"}, "https://index.docker.io/v1/"),
    "hub by its key": ({"url": "https://index.docker.io/v1/"}, "https://index.docker.io/v1/"),
}


@pytest.mark.parametrize(("fields", "registry"), REGISTRIES.values(), ids=REGISTRIES.keys())
def test_registry_of_a_docker_configuration(fields: dict[str, Any], registry: str) -> None:
    """The registry comes from the fields that Keeper's record types have for it."""
    written = json.loads(render("dockerconfigjson", {"login": "u", "password": "p", "email": "e@x", **fields}))
    assert written == {"auths": {registry: {"username": "u", "password": "p", "auth": "dTpw", "email": "e@x"}}}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"password": SECRET, "url": "r"}, "one value in field login or username"),
        ({"login": "u", "url": "r"}, "one value in field password"),
        ({"login": "u", "password": SECRET}, "one value in field registry or host or url"),
        ({"login": "u", "password": [SECRET, "b"], "url": "r"}, "one value in field password"),
    ],
    ids=["login", "password", "registry", "two passwords"],
)
def test_incomplete_docker_configuration(fields: dict[str, Any], said: str) -> None:
    """A missing part is named."""
    with pytest.raises(FormatError, match=rf"^record 'Prod DB': dockerconfigjson needs {said}; add it in Keeper$"):
        render("dockerconfigjson", fields)


def test_source_changes_with_everything_that_matters() -> None:
    """What stands for an unrepeatable file in comparisons differs when title, a field, its place or a file differs."""
    kinds = [
        formats.RecordContent("t", {"a": "1", "b": "2"}),
        formats.RecordContent("u", {"a": "1", "b": "2"}),
        formats.RecordContent("t", {"b": "2", "a": "1"}),
        formats.RecordContent("t", {"a": "1", "b": 2}),
        formats.RecordContent("t", {"a": "1", "b": "2"}, {"f": b"\xff"}),
        formats.RecordContent("t", {"a": "1", "b": "2"}, {"f": b"\xfe"}),
    ]
    assert len({formats.digest_input(content) for content in kinds}) == len(kinds)
    assert formats.digest_input(kinds[0]) == formats.digest_input(formats.RecordContent("t", {"a": "1", "b": "2"}))
