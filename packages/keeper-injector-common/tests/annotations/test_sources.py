"""Files, folders, variables and Kubernetes Secrets of single annotations."""

import pytest
from annotation_requests import problems_of, request_of

from keeper_injector_common.annotations.request import FolderFiles, RecordVariables, Variable
from keeper_injector_common.plan.delivery import Formatted, KubernetesSecret
from keeper_injector_common.references import FieldValue, RecordName, WholeRecord


@pytest.mark.parametrize(
    ("value", "source", "path", "form"),
    [
        ("/app/config/db.json", "name", "/app/config/db.json", "json"),
        ("db:/app/db.json", "db", "/app/db.json", "json"),
        ("db:/app/db.env", "db", "/app/db.env", "env"),
        ("db[password]:/app/pw", "db[password]", "/app/pw", "raw"),
        ("db[password]", "db[password]", "/keeper/secrets/name", "raw"),
        ("keeper://UID/field/password:/app/pw", "keeper://UID/field/password", "/app/pw", "raw"),
        ("keeper://UID/field/password", "keeper://UID/field/password", "/keeper/secrets/name", "raw"),
        ("Prod/DB/mysql/field/password:/app/pw", "keeper://Prod/DB/mysql/field/password", "/app/pw", "raw"),
        ("/app/field/x", "name", "/app/field/x", "json"),
    ],
)
def test_every_form_of_a_named_secret(value: str, source: str, path: str, form: str) -> None:
    """``secret-<name>`` accepts a path, a record, a field and a notation, the last three with or without a path."""
    (file,) = request_of(secret_name=value).files
    assert (str(file.sources[0]), file.path, file.content) == (source, path, Formatted(form))


def test_a_comma_list_is_several_secrets() -> None:
    """``secret`` and ``secrets`` both accept a list."""
    assert len(request_of(secret="a, b", secrets="c").files) == 3


def test_a_folder_has_a_path_or_a_uid() -> None:
    """A folder is selected by its path or its UID, and its files go to the default directory unless one is set."""
    assert request_of(folder="/Production/Databases/").folders == (
        FolderFiles("keeper.security/folder", RecordName(("Production", "Databases")), "/keeper/secrets"),
    )
    assert request_of(folder_uid="A/B", folder_path="/app/db", folder_recursive="yes").folders == (
        FolderFiles("keeper.security/folder-uid", RecordName(("A/B",)), "/app/db", recursive=True),
    )


def test_a_variable_of_one_field() -> None:
    """``env-<NAME>`` is one variable from one field."""
    (variable,) = request_of(env_PASSWORD="db[password]").variables
    assert isinstance(variable, Variable)
    assert (variable.name, str(variable.source)) == ("PASSWORD", "db[password]")


def test_the_fields_of_files_become_variables() -> None:
    """With ``inject-env-vars``, a record gives all its fields and a field itself; an attachment causes a warning."""
    found = request_of(
        secret="db", secret_a="api[key]", file_x="certs:ca.pem", inject_env_vars="true", env_prefix="APP_"
    )
    db, api = (WholeRecord(RecordName((title,))) for title in ("db", "api"))
    assert found.variables == (
        RecordVariables("keeper.security/secret", db, "APP_"),
        RecordVariables("keeper.security/secret-a", api, "APP_", ("key",)),
    )
    (warning,) = found.warnings
    assert (warning.where, warning.found) == (
        "keeper.security/file-x",
        "a file or template cannot become environment variables",
    )


def test_a_kubernetes_secret_has_only_the_fields_of_each_secret() -> None:
    """``fields-<name>`` applies to the Kubernetes Secret too, and names of fields in a file are a problem there."""
    secret = {"inject_as_k8s_secret": "true", "k8s_secret_name": "app"}
    (found,) = request_of(secret="db, api", fields_db="login, notes", **secret).kubernetes_secrets
    db, api = RecordName(("db",)), RecordName(("api",))
    assert found.sources == (FieldValue(db, "login"), FieldValue(db, "notes"), WholeRecord(api))
    (problem,) = problems_of(secret="db", keys_db="login=user", **secret)
    assert problem.startswith(
        "inject-as-k8s-secret: the names that keeper.security/secret gives to fields are those in a file"
    )


def test_settings_of_a_kubernetes_secret_need_the_switch() -> None:
    """They are warnings without it, also if ``config`` has a Secret."""
    found = request_of(secret="db", k8s_secret_name="app", k8s_secret_rotation="true")
    assert {(item.where, item.found) for item in found.warnings} == {
        (f"keeper.security/k8s-secret-{name}", 'has no effect without keeper.security/inject-as-k8s-secret: "true"')
        for name in ("name", "rotation")
    }


def test_one_record_twice_has_one_list_of_fields() -> None:
    """``secret-x`` for the record ``x`` and ``secret`` with the same record share ``fields-x``."""
    found = request_of(secret="x", secret_x="/app/x.json", fields_x="login")
    assert [file.content for file in found.files] == [Formatted("json", ("login",))] * 2


def test_the_secrets_of_files_become_a_kubernetes_secret() -> None:
    """``inject-as-k8s-secret`` writes the records of all files, with the defaults of the table for the rest."""
    found = request_of(secret="db, api", inject_as_k8s_secret="true", k8s_secret_name="app", k8s_secret_mode="merge")
    sources = tuple(WholeRecord(RecordName((title,))) for title in ("db", "api"))
    assert found.kubernetes_secrets == (
        KubernetesSecret(
            where="keeper.security/inject-as-k8s-secret",
            name="app",
            sources=sources,
            type="Opaque",
            mode="merge",
            rotation=False,
            owner_reference=True,
        ),
    )


@pytest.mark.parametrize(
    ("annotations", "problem"),
    [
        ({"secret": "a", "folder": "x", "folder_uid": "y"}, "keep one of the two"),
        ({"folder": "x[y]"}, "a folder has no fields; write a bracket in its name as"),
        ({"format_x": "env", "secret": "a"}, "there is no keeper.security/record-x that it applies to"),
        ({"secret_x": "a:/b/c", "format_x": "env", "template_x": "y"}, "keep one of the two"),
        ({"secret_x": "a:/b/c", "format_x": "xml"}, "'xml' is unknown"),
        ({"file_x": "/app/x"}, "no file is named"),
        ({"file_x": "record"}, "no file is named"),
        ({"env_X": "db"}, "is a whole record"),
        ({"env_X": "keeper://db/file/x"}, "a file cannot be a variable"),
        ({"env_1X": "db[x]"}, "'1X' is"),
        ({"secret": "a", "inject_as_k8s_secret": "true"}, "the Secret has no name"),
        ({"env_X": "a[b]", "inject_as_k8s_secret": "true", "k8s_secret_name": "x"}, "nothing to put into the Secret"),
    ],
)
def test_incomplete_and_contradictory_annotations(annotations: dict[str, str], problem: str) -> None:
    """Annotations that contradict each other or lack something are reported with a way out."""
    assert any(problem in text for text in problems_of(**annotations))


@pytest.mark.parametrize("name", ["folder_path", "folder_recursive", "env_prefix"])
def test_annotations_without_effect_are_warnings(name: str) -> None:
    """An annotation that has no effect without another one causes a warning that names the other one."""
    text = {"folder_path": "/app/x", "folder_recursive": "true", "env_prefix": "X_"}[name]
    (warning,) = request_of(secret="a", **{name: text}).warnings
    assert warning.found.startswith("has no effect without keeper.security/")


def test_each_secret_has_its_own_prefix_and_fields() -> None:
    """``env-prefix-<name>`` and ``fields-<name>`` apply to a named secret, and to a record in a list by its title."""
    found = request_of(
        secrets="db, smtp",
        secret_key="api:/app/key.env",
        inject_env_vars="true",
        env_prefix="APP_",
        **{"env_prefix-smtp": "MAIL_", "env_prefix-key": "API_", "fields_key": "login, token", "fields_db": "host"},
    )
    assert [
        (str(item.source), item.prefix, item.fields) for item in found.variables if isinstance(item, RecordVariables)
    ] == [
        ("db", "APP_", ("host",)),
        ("smtp", "MAIL_", ()),
        ("api", "API_", ("login", "token")),
    ]
    assert [file.content for file in found.files] == [
        Formatted("json", ("host",)),
        Formatted("json"),
        Formatted("env", ("login", "token")),
    ]
    assert found.warnings == ()


def test_each_secret_has_its_own_names_in_the_file() -> None:
    """``keys-<name>`` applies to a named secret, and to a record in a list by its title; variables have the same fields."""
    found = request_of(
        secrets="smtp",
        secret_db="db:/app/db.properties",
        inject_env_vars="true",
        keys_db="password=spring.datasource.password, login = spring.datasource.username",
        keys_smtp="login=user",
    )
    names = {"password": "spring.datasource.password", "login": "spring.datasource.username"}
    assert [file.content for file in found.files] == [
        Formatted("json", keys={"login": "user"}),
        Formatted("properties", keys=names),
    ]
    assert [item.fields for item in found.variables if isinstance(item, RecordVariables)] == [
        ("login",),
        ("password", "login"),
    ]


def test_variables_follow_the_entry_of_config() -> None:
    """With ``inject-env-vars``, an entry's fields, containers and prefix hold; one that has variables already gets no more."""
    found = request_of(
        inject_env_vars="true",
        env_prefix="APP_",
        config="secrets: [{record: db, fields: [login], containers: [app], envPrefix: DB_, path: /a/b.json},"
        " {record: smtp, path: /a/c.json, injectAsEnvVars: true, envPrefix: MAIL_}, {record: x, path: /a/d.json}]",
    )
    assert [(str(item.source), getattr(item, "prefix", ""), item.containers) for item in found.variables] == [
        ("db", "DB_", ("app",)),
        ("x", "APP_", None),
        ("smtp", "MAIL_", None),
    ]


def test_one_value_of_a_field_is_one_variable() -> None:
    """An index and a property are kept, in annotations and in ``config``."""
    found = request_of(
        secret_a="db[hosts][1]",
        inject_env_vars="true",
        env_prefix="DB_",
        config="secrets: [{record: 'db[address][city]', injectAsEnvVars: true}]",
    )
    assert [(item.name, str(item.source)) for item in found.variables if isinstance(item, Variable)] == [
        ("DB_HOSTS", "db[hosts][1]"),
        ("ADDRESS", "db[address][city]"),
    ]


@pytest.mark.parametrize(
    ("annotations", "problem"),
    [
        (
            {"fields_x": "login", "secret": "a"},
            "fields-x: there is no keeper.security/record-x that it applies to, nor a record 'x' in",
        ),
        ({"env_prefix-x": "A_", "secret": "a"}, "env-prefix-x: there is no keeper.security/record-x"),
        (
            {"secret_x": "a:/b/c", "fields_x": "login", "template_x": "y"},
            "fields-x: keeper.security/template-x already determines",
        ),
        ({"secret_x": "a[b]", "fields_x": "login"}, "fields-x: keeper.security/secret-x asks for one value already"),
        ({"keys_x": "login=a", "secret": "a"}, "keys-x: there is no keeper.security/record-x that it applies to"),
        (
            {"secret_x": "a", "keys_x": "login=a", "template_x": "y"},
            "keys-x: keeper.security/template-x already determines the content of the file; keep one of the two",
        ),
        (
            {"secret_x": "a", "keys_x": "login=a", "fields_x": "login"},
            "fields-x: keeper.security/keys-x already chooses the fields; keep one of the two",
        ),
        ({"secret_x": "a[b]", "keys_x": "login=a"}, "keys-x: keeper.security/secret-x asks for one value already"),
        (
            {"secret_x": "a", "keys_x": "login=a, user=a"},
            "keys-x: field 'user': 'a' is the name of 'login' too; choose another name",
        ),
        (
            {"secret_x": "a", "format_x": "shell", "keys_x": "login=a.b"},
            "keys-x: field 'login': 'a.b' is not a name of a variable",
        ),
        ({"secret_x": "a", "keys_x": "login"}, "keys-x: 'login' is not a pair of names; write login=user"),
        ({"secret_x": "a", "keys_x": "login=a, login=b"}, "names 'login' twice; name each once"),
        (
            {"secret": "x", "secret_x": "a", "fields_x": "login"},
            "fields-x: it applies to keeper.security/secret-x and to another record, 'x'; rename keeper.security/secret-x",
        ),
        ({"secret_x": "a", "env_prefix-x": "1_"}, "'1_' is not a name of a variable"),
        (
            {"secret": "a", "auth_secret": "one", "ksm_config": "two"},
            "ksm-config: keeper.security/auth-secret is the same setting",
        ),
    ],
)
def test_details_of_a_secret_are_checked(annotations: dict[str, str], problem: str) -> None:
    """An annotation about a secret that does not exist, or that contradicts another one, is a problem."""
    assert any(problem in text for text in problems_of(**annotations))


def test_prefixes_without_variables_are_warnings() -> None:
    """A prefix without variables has no effect, in an annotation or in ``config``."""
    found = request_of(secret="a", **{"env_prefix-a": "A_"}, config="secrets: [{record: b, envPrefix: B_}]")
    assert [(item.where, item.found) for item in found.warnings] == [
        ("keeper.security/env-prefix-a", 'has no effect without keeper.security/inject-env-vars: "true"'),
        ("keeper.security/config: secrets[0].envPrefix", "has no effect by itself"),
    ]
