"""The ``keeper.security/config`` document: what it asks for, and the problems in it."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from keeper_injector_common.annotations.config import ConfigDeliveries, parse_config
from keeper_injector_common.annotations.request import RecordVariables
from keeper_injector_common.errors import Problem
from keeper_injector_common.plan.delivery import Formatted, Templated
from keeper_injector_common.references import FieldValue, RecordName, WholeRecord


def read(document: str) -> tuple[ConfigDeliveries, list[Problem], list[Problem]]:
    """Return what *document* asks for, its problems and its warnings."""
    problems: list[Problem] = []
    warnings: list[Problem] = []
    return parse_config("config", document, problems, warnings), problems, warnings


def accepted(document: str) -> ConfigDeliveries:
    """Return what *document*, which has no problem, asks for."""
    found, problems, warnings = read(document)
    assert (problems, warnings) == ([], [])
    return found


def problems(document: str) -> list[str]:
    """Return the messages about *document*."""
    return list(map(str, read(document)[1]))


def test_a_document_has_every_delivery() -> None:
    """Files, variables, Kubernetes Secrets and folders are in one document, with the Go injector's other names."""
    found = accepted(
        """
secrets:
  - {record: db, path: /app/db.env, fields: [login, password], format: env, mode: "0440", containers: [app]}
  - {record: certs, fileName: ca.pem, path: /app/ca.pem}
  - {records: [a, b], path: /app/both, template: "{{ .a.login }}"}
  - {record: api, injectAsEnvVars: true, envPrefix: API_}
  - {record: tls, injectAsK8sSecret: true, k8sSecretName: tls, k8sSecretKeys: {cert: tls.crt}}
folders:
  - {folderPath: Production/Databases, outputPath: /app/dbs, recursive: yes}
""",
    )
    first, second, third = found.files
    assert (first.content, first.mode, first.containers) == (Formatted("env", ("login", "password")), 0o440, ("app",))
    assert str(second.sources[0]) == "keeper://certs/file/ca.pem"
    assert (len(third.sources), third.content) == (2, Templated("{{ .a.login }}"))
    assert [(str(item.source), item.prefix) for item in found.variables] == [("api", "API_")]
    assert found.kubernetes_secrets[0].keys == {"cert": "tls.crt"}
    (folder,) = found.folders
    assert (folder.folder.parts, folder.directory, folder.recursive) == (("Production", "Databases"), "/app/dbs", True)


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ("secrets: [{record: a, fromat: env}]", "config: secrets[0].fromat: unknown key; did you mean 'format'?"),
        ("secrets: [{record: a, path: 5}]", "config: secrets[0].path: '5' is not an absolute path; begin it with '/'"),
        ("secrets: {record: a}", "config: secrets: a mapping found; write a list"),
        (
            "secrets: [{path: /a/b}]",
            "config: secrets[0]: exactly one source is needed; write record:, notation: or, for a template, records:",
        ),
        ("secrets: [a]", "config: secrets[0]: text found; write a mapping such as {record: my-record}"),
        ("secrets: [{record: a, mode: [1]}]", "config: secrets[0].mode: a list found; write text"),
        ("folders: [{}]", "config: folders[0]: exactly one folder is needed; write path: or uid:"),
        ("a: &x [1]\nb: *x", "config: line 1 uses a YAML anchor or alias; write the value out"),
        ("secrets: 1\nsecrets: 2", "config: line 2 repeats the key 'secrets'; keep one"),
        ("[" * 50 + "]" * 50, "config: the document is nested more than 12 deep; flatten it"),
        ("x" * 70000, "config: the document has 70000 characters; write at most 65536"),
        ("- a", "config: the document is not a mapping; write secrets: or folders: with a list"),
    ],
)
def test_each_problem_has_its_path(document: str, problem: str) -> None:
    """A message says where in the document the problem is."""
    assert problem in problems(document)


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (
            "format: template",
            "format: format is 'template', but template: is missing; add template:, or remove the format",
        ),
        (
            "injectAsK8sSecret: true, k8sSecretName: s, k8sSecretType: kubernetes.io/tls, k8sSecretKeys: {a: tls.crt}",
            "k8sSecretKeys: a Secret of type kubernetes.io/tls needs tls.key; write the field or file: tls.key",
        ),
    ],
)
def test_an_incomplete_entry_of_the_go_injector_is_rejected(entry: str, problem: str) -> None:
    """What would fail in the pod is reported at admission."""
    assert problems(f"secrets: [{{record: r, path: /app/r, {entry}}}]") == [f"config: secrets[0].{problem}"]


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("path: a, folderPath: b", "folders[0].folderPath: the same as 'path'; write one of the two"),
        ("path: a, uid: b", "folders[0]: exactly one folder is needed; write path: or uid:"),
        (
            "path: 'a[b]'",
            "folders[0].path: 'a[b]' at character 5: a folder has no fields; write a bracket in its name as '\\['",
        ),
        ("path: a, containers: []", "folders[0].containers: the list is empty; name a container or leave the key out"),
    ],
)
def test_a_folder_has_one_name(entry: str, problem: str) -> None:
    """A folder is named by its path or its UID, under one of the names of the key."""
    assert problems(f"folders: [{{{entry}}}]") == [f"config: {problem}"]


@pytest.mark.parametrize(
    "key",
    [
        "k8sSecretName: a",
        "k8sSecretType: a",
        "k8sSecretMode: merge",
        "k8sSecretKeys: {a: b}",
        "k8sSecretRotation: true",
        "k8sSecretOwnerRef: false",
    ],
)
def test_keys_of_a_kubernetes_secret_need_the_switch(key: str) -> None:
    """A key that would have no effect is a problem."""
    assert problems(f"secrets: [{{record: a, {key}}}]") == [
        f"config: secrets[0].{key.split(':', maxsplit=1)[0]}: has no effect by itself; add injectAsK8sSecret: true"
    ]


@pytest.mark.parametrize("delivery", ["injectAsEnvVars: true", "injectAsK8sSecret: true, k8sSecretName: s"])
def test_keys_about_a_file_need_one(delivery: str) -> None:
    """A template without a file is a problem, and a format or mode without one is a warning."""
    without = "config: secrets[0].template: has no effect without a file; add path:"
    assert problems(f"secrets: [{{record: a, template: x, {delivery}}}]") == [without]
    _, wrong, warnings = read(f"secrets: [{{record: a, format: yaml, mode: '0400', {delivery}}}]")
    assert (wrong, [(item.where, item.found) for item in warnings]) == (
        [],
        [(f"config: secrets[0].{key}", "has no effect without a file") for key in ("format", "mode")],
    )


def test_a_kubernetes_secret_has_only_the_listed_fields() -> None:
    """``fields`` applies to the Secret as to the file; ``k8sSecretKeys`` lists the fields of the Secret itself."""
    entry = "record: a, fields: [login], injectAsK8sSecret: true, k8sSecretName: s"
    (listed,) = accepted(f"secrets: [{{{entry}}}]").kubernetes_secrets
    assert listed.sources == (FieldValue(RecordName(("a",)), "login"),)
    (named,) = accepted(f"secrets: [{{{entry}, k8sSecretKeys: {{password: p}}}}]").kubernetes_secrets
    assert (named.sources, named.keys) == ((WholeRecord(RecordName(("a",))),), {"password": "p"})


def test_fields_get_their_names_in_the_file() -> None:
    """The names may have dots, and their order is that of the file."""
    (file,) = accepted(
        "secrets: [{record: db, path: /app/db.properties, keys: {password: spring.datasource.password, login: a.b}}]"
    ).files
    assert file.content == Formatted("properties", keys={"password": "spring.datasource.password", "login": "a.b"})
    assert isinstance(file.content, Formatted)
    assert list(file.content.keys) == ["password", "login"]


def test_variables_beside_keys_have_the_same_fields() -> None:
    """An entry with a file and variables delivers the fields that keys chooses, and gives the names to the file only."""
    found = accepted("secrets: [{record: db, path: /app/db.json, keys: {login: user}, injectAsEnvVars: true}]")
    (variables,) = found.variables
    assert isinstance(variables, RecordVariables)
    assert (len(found.files), variables.fields) == (1, ("login",))


WRONG_KEYS = {
    "twice": ("keys: {login: a, user: a}", ".user: 'a' is the name of 'login' too; choose another name"),
    "same to readers": ("format: ini, keys: {a: DB, b: db}", ".b: 'db' is the name of 'a' too; choose another name"),
    "empty": ("keys: {login: ''}", ".login: the value is empty; write one or remove the annotation"),
    "a list": ("keys: [login]", ": a list found; write a mapping of names to names"),
    "a boolean": ("keys: {login: yes}", ".login: a boolean found; put it in quotes"),
    "a format without names": (
        "format: raw, keys: {login: a}",
        ".login: files of format raw have no names; write format: with one of json, env, properties, yaml, ini, toml, shell",
    ),
    "dots in a shell": (
        "format: shell, keys: {login: db.user}",
        ".login: 'db.user' is not a name of a variable; write letters, digits and '_', no digit first",
    ),
    "a loader variable": (
        "format: env, keys: {login: LD_PRELOAD}",
        ".login: LD_PRELOAD controls the program loader and cannot be set from a secret; choose another name",
    ),
    "a hyphen in env": (
        "format: env, keys: {login: db-user}",
        ".login: 'db-user' is not a name that docker and dotenv accept; write letters, digits, '_' and '.', no digit first",
    ),
    "a colon in ini": (
        "format: ini, keys: {login: 'a:b'}",
        ".login: 'a:b' is not a name that INI parsers accept; write letters, digits, spaces and any of . _ @ / + -",
    ),
    "beside a template": ("template: x, keys: {a: b}", ": the template already says what the file holds; keep one of the two"),
    "without a file": ("injectAsEnvVars: true, keys: {a: b}", ": has no effect without a file; add path:"),
    "in a Secret": (
        "injectAsK8sSecret: true, k8sSecretName: s, keys: {a: b}",
        ": has no effect without a file; add path:, or write k8sSecretKeys:",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("entry", "problem"), WRONG_KEYS.values(), ids=WRONG_KEYS.keys())
def test_keys_that_no_file_can_have_are_rejected(entry: str, problem: str) -> None:
    """A name that the format cannot write, or that would replace another, is a problem of its field."""
    assert problems(f"secrets: [{{record: db, {entry}}}]") == [f"config: secrets[0].keys{problem}"]


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (
            "record: db, fields: [login], keys: {login: a}",
            "fields: keys: already chooses the fields; keep one of the two",
        ),
        ("record: 'db[login]', keys: {login: a}", "keys: the source is one value already; name the record alone"),
        ("record: db, file: a.pem, keys: {login: a}", "keys: the source is one value already; name the record alone"),
    ],
)
def test_keys_are_those_of_a_whole_record(entry: str, problem: str) -> None:
    """The keys choose the fields of a record, so nothing else does."""
    assert problems(f"secrets: [{{{entry}}}]") == [f"config: secrets[0].{problem}"]


def test_keys_the_other_way_round_are_understood() -> None:
    """The Go injector's example for TLS names the key of the Secret first. It works, with a warning."""
    found, problems, warnings = read(
        "secrets: [{record: t, injectAsK8sSecret: true, k8sSecretName: s, k8sSecretType: kubernetes.io/tls, "
        "k8sSecretKeys: {tls.crt: cert, tls.key: key}}]"
    )
    assert (problems, found.kubernetes_secrets[0].keys) == ([], {"cert": "tls.crt", "key": "tls.key"})
    assert [str(warning) for warning in warnings] == [
        "config: secrets[0].k8sSecretKeys: fields or files come first; write {cert: tls.crt, key: tls.key}"
    ]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("ab/[]. -", max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "record"]), inner, max_size=2),
)
KEYS = st.sampled_from(
    ["record", "records", "file", "fileName", "path", "format", "template", "injectAsK8sSecret", "uid"]
)


@given(st.dictionaries(st.sampled_from(["secrets", "folders"]), st.lists(st.dictionaries(KEYS, VALUES), max_size=2)))
def test_any_document_is_read_or_reported(document: dict[str, Any]) -> None:
    """Reading raises no exception, whatever a document contains."""
    read(yaml.safe_dump(document))


@given(st.text(max_size=30))
def test_any_text_is_read_or_reported(text: str) -> None:
    """Reading raises no exception for text that is not YAML."""
    read(text)


def test_numbers_without_quotes_are_read_as_written() -> None:
    """A mode and a title need no quotes. Words that YAML reads as booleans need them where a name belongs."""
    text = """
secrets:
  - {record: 1.10, path: /app/a, mode: 0644}
  - {record: 12:30, path: /app/b, injectAsK8sSecret: yes, k8sSecretName: app, k8sSecretKeys: {password: yes, null: b}}
  - {record: no, path: /app/c, fields: [on]}
"""
    found, problems, _ = read(text)
    assert [str(problem).partition(";")[0] for problem in problems] == [
        f"config: secrets{path}: a boolean found"
        for path in ("[1].k8sSecretKeys.password", "[2].record", "[2].fields[0]")
    ]
    assert [(str(file.sources[0]), file.mode) for file in found.files] == [("1.10", 0o644), ("12:30", None)]
    assert found.kubernetes_secrets[0].keys == {"null": "b"}
