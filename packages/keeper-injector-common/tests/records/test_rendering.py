"""Items of a plan become bytes: files, folders, Kubernetes Secrets and environment variables."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_injector_common.errors import FormatError, RecordGoneError, SelectionError, TemplateError
from keeper_injector_common.plan.delivery import Formatted, KubernetesSecret, Templated
from keeper_injector_common.plan.model import Environment, FileItem, FolderItem, RecordVariablesItem, VariableItem
from keeper_injector_common.records import Attachment, Field, Folder, Library, Record, Renderer
from keeper_injector_common.records.formats import to_variable_name
from keeper_injector_common.records.templates import render_template
from keeper_injector_common.references import FieldValue, FileContent, RecordName, RecordText, WholeRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

CONTENTS = {"ca.pem": b"PEM", "logo.png": b"\xff\x00"}
DB = Record(
    "u1",
    "Prod DB",
    "login",
    (
        Field("login", "login", "", ("admin",)),
        Field("host", "host", "", ({"hostName": "db"},)),
        Field("API key", "text", "API key", ("k",)),
    ),
    notes="a note",
    attachments=(Attachment("f1", "ca.pem"),),
    folders=(Folder(("Prod",), ("f1",)),),
)
CACHE = Record("u2", "cache", "login", (Field("login", "login", "", ("root",)),), folders=(Folder(("Prod",), ("f1",)),))
PICTURE = Record(
    "u3",
    "picture",
    "file",
    (),
    attachments=(Attachment("f2", "logo.png"),),
    folders=(Folder(("Prod", "EU"), ("f1", "f2")),),
)
TWIN = Record("u4", "cache", "login", (), folders=(Folder(("Prod", "EU"), ("f1", "f2")),))
DB_NAME, CACHE_NAME, PICTURE_NAME = (RecordName((title,)) for title in ("Prod DB", "cache", "picture"))


@attrs.frozen
class Downloads:
    """Serves the contents of attachments and notes which were asked for."""

    names: list[str] = attrs.field(factory=list)

    def __call__(self, record: Record, attachment: Attachment) -> bytes:
        """Return the content of *attachment*."""
        self.names.append(attachment.name)
        return CONTENTS[attachment.name]


def renderer(downloads: Downloads | None = None) -> Renderer:
    """Return a renderer of four records."""
    return Renderer(Library((DB, CACHE, PICTURE, TWIN)), False, downloads or Downloads(), render_template)


def file(content: Any, *sources: Any) -> FileItem:
    """Return a file of a plan."""
    return FileItem("file", sources, content, 0o400)


FILES = {
    "whole record": (
        file(Formatted("env", ("login", "API key")), WholeRecord(DB_NAME)),
        b"LOGIN=admin\nAPI_KEY=k\n",
    ),
    "field": (file(Formatted("raw"), FieldValue(DB_NAME, "login")), b"admin"),
    "structured field": (file(Formatted("raw"), FieldValue(DB_NAME, "host")), b'{"hostName":"db"}'),
    "keys": (
        file(Formatted("properties", keys={"API key": "app.key", "login": "app.user"}), WholeRecord(DB_NAME)),
        b"app.key=k\napp.user=admin\n",
    ),
    "keys of a structured field and the notes": (
        file(Formatted("env", keys={"host": "db", "notes": "n.1"}), WholeRecord(DB_NAME)),
        b"db_HOSTNAME=db\nn.1=a note\n",
    ),
    "attachment": (file(Formatted("raw"), FileContent(PICTURE_NAME, "logo.png")), b"\xff\x00"),
    "template": (file(Templated("{{ .login }}@{{ .host.hostName }}"), WholeRecord(DB_NAME)), b"admin@db"),
    "template of record data": (file(Templated("{{ .title }} {{ .uid }} {{ .notes }}"), WholeRecord(DB_NAME)),
        b"Prod DB u1 a note"),
    "template of several records": (
        file(Templated('{{ .cache.login }}-{{ (index . "Prod DB").login }}'), WholeRecord(DB_NAME), WholeRecord(CACHE_NAME)),
        b"root-admin",
    ),
    "template with an attachment": (file(Templated('{{ index .files "ca.pem" }}'), WholeRecord(DB_NAME)), b"PEM"),
}  # fmt: skip


@pytest.mark.parametrize(("item", "content"), FILES.values(), ids=FILES.keys())
def test_file_is_rendered(item: FileItem, content: bytes) -> None:
    """A file contains a record, a field or an attachment, or the output of a template."""
    assert renderer().render_file(item) == content


def test_whole_record_contains_fields_and_notes_but_no_attachment() -> None:
    """Without a list of fields, a file contains all fields and the notes; attachments are not downloaded for it."""
    downloads = Downloads()
    written = renderer(downloads).render_file(file(Formatted("json"), WholeRecord(DB_NAME)))
    assert json.loads(written) == DB.named_values()
    assert downloads.names == []


def test_attachments_are_downloaded_only_for_templates_that_mention_them() -> None:
    """A template that does not mention ``.files`` causes no download."""
    downloads = Downloads()
    renderer(downloads).render_file(file(Templated("{{ .login }}"), WholeRecord(DB_NAME)))
    assert downloads.names == []


WRONG_FILES = {
    "format of an attachment": (
        file(Formatted("env"), FileContent(DB_NAME, "ca.pem")),
        FormatError,
        "an attachment is delivered unchanged; remove the format 'env'",
    ),
    "missing field": (
        file(Formatted("json", ("pasword",)), WholeRecord(DB_NAME)),
        SelectionError,
        "record 'Prod DB', field 'pasword': the record has no such field",
    ),
    "missing field of keys": (
        file(Formatted("json", keys={"user": "a"}), WholeRecord(DB_NAME)),
        SelectionError,
        "record 'Prod DB', field 'user': the record has no such field; there are 3 others: 'API key', 'host', 'login'",
    ),
    "two fields with one name": (
        file(Formatted("json", keys={"login": "a", "API key": "a"}), WholeRecord(DB_NAME)),
        FormatError,
        "record 'Prod DB', field 'API key': 'a' is the name of 'login' too; choose another name",
    ),
    "two flat names": (
        file(Formatted("properties", keys={"host": "a", "login": "a.hostName"}), WholeRecord(DB_NAME)),
        FormatError,
        "record 'Prod DB': two values are named 'a.hostName'; set another name in keys or use json",
    ),
    "keys without names": (
        file(Formatted("raw", keys={"login": "a"}), WholeRecord(DB_NAME)),
        FormatError,
        "record 'Prod DB', field 'login': files of format raw have no names",
    ),
    "template": (file(Templated("{{ .nope }}"), WholeRecord(DB_NAME)), TemplateError, "^record 'Prod DB': template, "),
    "binary attachment in a template": (
        file(Templated("{{ .files }}"), WholeRecord(PICTURE_NAME)),
        FormatError,
        "record 'picture': file 'logo.png' is not text; deliver it by itself, without a template",
    ),
}


@pytest.mark.parametrize(("item", "error", "message"), WRONG_FILES.values(), ids=WRONG_FILES.keys())
def test_file_that_cannot_be_rendered_is_an_error(item: FileItem, error: type[Exception], message: str) -> None:
    """The error names the record and what to do."""
    with pytest.raises(error, match=message):
        renderer().render_file(item)


def test_folder_has_a_file_for_each_record() -> None:
    """A file of a folder is named after its record; records of the same title get their UIDs."""
    item = FolderItem(RecordName(("Prod",)), 0o400, recursive=True, format="yaml", below="all")
    files = renderer().folder_files(item)
    assert {file.name: file.value.uid for file in files} == {
        "all/Prod DB.yaml": "u1",
        "all/cache-u2.yaml": "u2",
        "all/picture.yaml": "u3",
        "all/cache-u4.yaml": "u4",
    }
    assert renderer().render_record(CACHE, "yaml") == b"login: root\n"


SECRETS = {
    "all values": (KubernetesSecret("w", "s", (WholeRecord(CACHE_NAME),)), {"login": b"root"}),
    "name that is not a key": (KubernetesSecret("w", "s", (FieldValue(DB_NAME, "API key"),)), {"API_key": b"k"}),
    "chosen keys": (
        KubernetesSecret("w", "s", (WholeRecord(DB_NAME),), keys={"login": "user", "ca.pem": "ca.crt"}),
        {"user": b"admin", "ca.crt": b"PEM"},
    ),
    "attachment": (KubernetesSecret("w", "s", (FileContent(PICTURE_NAME, "logo.png"),)), {"logo.png": b"\xff\x00"}),
    "structured value": (KubernetesSecret("w", "s", (FieldValue(DB_NAME, "host"),)), {"host": b'{"hostName":"db"}'}),
}


@pytest.mark.parametrize(("secret", "data"), SECRETS.values(), ids=SECRETS.keys())
def test_kubernetes_secret_gets_the_values(secret: KubernetesSecret, data: Mapping[str, bytes]) -> None:
    """A Kubernetes Secret contains all values under valid keys, or the chosen values under the chosen keys."""
    assert renderer().secret_data(secret) == data


def test_kubernetes_secret_with_two_values_for_a_key_is_an_error() -> None:
    """A value never silently replaces another one."""
    secret = KubernetesSecret("w", "s", (FieldValue(DB_NAME, "login"), FieldValue(CACHE_NAME, "login")))
    with pytest.raises(
        FormatError,
        match=r"^Secret 's': two values for the key 'login', field 'login' of record 'Prod DB' \(u1\) and .*",
    ):
        renderer().secret_data(secret)


def test_kubernetes_secret_with_a_key_for_nothing_is_an_error() -> None:
    """A key for a field that does not exist is an error that names the field."""
    secret = KubernetesSecret("w", "s", (WholeRecord(CACHE_NAME),), keys={"pasword": "p"})
    with pytest.raises(SelectionError, match=r"^Secret 's': no field or file 'pasword' in cache$"):
        renderer().secret_data(secret)


def variables(of: Renderer, environment: Environment) -> dict[str, str]:
    """Return the values of variables by name; raise the first problem, if there is one."""
    found = of.variables(environment)
    for _, error in found.problems:
        raise error
    return {name: variable.value for name, variable in found.variables.items()}


def test_named_variable_overrides_one_of_a_record() -> None:
    """Variables of records come first, and a variable with an explicit name overrides them."""
    environment = Environment(
        "/env",
        "exec",
        0o400,
        variables=(VariableItem("DB_LOGIN", FieldValue(CACHE_NAME, "login")),),
        records=(RecordVariablesItem(WholeRecord(DB_NAME), "DB_", ("login", "host")),),
    )
    assert variables(renderer(), environment) == {"DB_LOGIN": "root", "DB_HOST_HOSTNAME": "db"}


def test_structured_value_in_a_variable_is_json() -> None:
    """A variable holds a structured value as compact JSON."""
    environment = Environment("/env", "exec", 0o400, (VariableItem("HOST", FieldValue(DB_NAME, "host")),))
    assert variables(renderer(), environment) == {"HOST": '{"hostName":"db"}'}


def test_attachment_cannot_be_a_variable() -> None:
    """An attachment in a variable is an error that recommends a file."""
    environment = Environment("/env", "exec", 0o400, (VariableItem("CA", FileContent(DB_NAME, "ca.pem")),))
    with pytest.raises(SelectionError, match="an attachment is not a value; deliver it as a file"):
        variables(renderer(), environment)


def test_a_text_of_a_missing_record_may_have_been_meant_as_a_record() -> None:
    """``Prod/Notes`` means the notes of a record; the error says how to write a record called notes."""
    environment = Environment("/env", "exec", 0o400, (VariableItem("X", RecordText(RecordName(("Prod",)), "notes")),))
    with pytest.raises(RecordGoneError, match=r"; for a record called 'notes' in a folder, write Prod/\\notes$"):
        variables(renderer(), environment)


SMTP = Record(
    "u5", "smtp", "login", (Field("login", "login", "", ("mailer",)), Field("hosts", "text", "hosts", ("a", "b")))
)
COPY = Record("u6", "smtp", "login", (Field("login", "login", "", ("another",)),))


def all_of(*titles: str, prefix: str = "") -> Environment:
    """Return the variables of all fields of the records."""
    items = tuple(RecordVariablesItem(WholeRecord(RecordName((title,))), prefix) for title in titles)
    return Environment("/env", "exec", 0o400, records=items)


def of(*records: Record, strict: bool = False, warnings: list[str] | None = None) -> Renderer:
    """Return a renderer of these records, which appends its warnings to a list."""
    warn = (warnings if warnings is not None else []).append
    return Renderer(Library(records), strict, Downloads(), render_template, warn)


def test_two_records_never_compete_for_a_variable() -> None:
    """Two records with a field of the same name are a problem that names both, and a prefix for each is the way out."""
    with pytest.raises(FormatError) as found:
        variables(of(CACHE, COPY), all_of("cache", "u6"))
    assert str(found.value) == (
        "variable LOGIN: field 'login' of record 'cache' (u2) and field 'login' of record 'smtp' (u6) have this name; set a prefix "
        "for each secret with keeper.security/env-prefix-<name>, or with envPrefix: in config"
    )
    items = all_of("cache").records + all_of("smtp", prefix="MAIL_").records
    environment = attrs.evolve(all_of(), records=items)
    assert variables(of(CACHE, SMTP), environment) == {
        "LOGIN": "root",
        "MAIL_LOGIN": "mailer",
        "MAIL_HOSTS_0": "a",
        "MAIL_HOSTS_1": "b",
    }


def test_a_field_that_is_asked_for_twice_is_one_variable() -> None:
    """The same field of the same record, by title and by UID, is one variable."""
    environment = attrs.evolve(
        all_of("cache", "u2"), variables=(VariableItem("X", FieldValue(CACHE_NAME, "login")),) * 2
    )
    assert variables(of(CACHE), environment) == {"LOGIN": "root", "X": "root"}


def test_an_explicit_variable_overrides_with_a_warning() -> None:
    """The explicit variable overrides, which is a warning. Two explicit ones of one name are a problem."""
    warnings: list[str] = []
    explicit = VariableItem("LOGIN", FieldValue(RecordName(("smtp",)), "hosts"))
    environment = attrs.evolve(all_of("cache"), variables=(explicit,))
    assert variables(of(CACHE, SMTP, warnings=warnings), environment) == {"LOGIN": '["a","b"]'}
    assert warnings == ["variable LOGIN: the explicit variable overrides the one of a record"]
    both = attrs.evolve(all_of(), variables=(explicit, VariableItem("LOGIN", FieldValue(CACHE_NAME, "login"))))
    with pytest.raises(FormatError, match=r"^variable LOGIN: smtp\[hosts\] and cache\[login\] have this name"):
        variables(of(CACHE, SMTP), both)


def test_a_whole_record_in_a_file_for_shells_has_ordinary_fields_only() -> None:
    """Fields that nobody listed must be ordinary in a file that an application sources; listed ones may have any name."""
    record = Record("u7", "git", "login", (Field("GIT_SSH_COMMAND", "text", "GIT_SSH_COMMAND", ("ssh",)),))
    name = RecordName(("git",))
    for form in ("env", "shell"):
        with pytest.raises(FormatError, match=r"^record 'git', field 'GIT_SSH_COMMAND': is not an ordinary field"):
            of(record).render_file(file(Formatted(form), WholeRecord(name)))
        assert b"GIT_SSH_COMMAND=" in of(record).render_file(
            file(Formatted(form, ("GIT_SSH_COMMAND",)), WholeRecord(name))
        )
        assert b"GIT_SSH_COMMAND=" in of(record).render_file(file(Formatted(form), FieldValue(name, "GIT_SSH_COMMAND")))
    assert b"GIT_SSH_COMMAND" in of(record).render_file(file(Formatted("json"), WholeRecord(name)))


def test_a_template_never_takes_one_record_for_another() -> None:
    """Two records of one title in one template are a problem that names both; one record under two names is not."""
    item = file(Templated("{{ .smtp.login }}"), WholeRecord(RecordName(("u5",))), WholeRecord(RecordName(("u6",))))
    with pytest.raises(TemplateError, match=r"^records u5 and u6 have the same title 'smtp', .*; rename one in Keeper"):
        of(SMTP, COPY).render_file(item)
    twice = file(Templated("{{ .smtp.login }}"), WholeRecord(RecordName(("u5",))), WholeRecord(RecordName(("smtp",))))
    assert of(SMTP).render_file(twice) == b"mailer"


def test_a_field_never_hides_what_templates_know_of_every_record() -> None:
    """A field called title is a problem only for templates that mention it."""
    record = Record(
        "u8", "page", "login", (Field("title", "text", "title", ("x",)), Field("login", "login", "", ("a",)))
    )
    source = WholeRecord(RecordName(("page",)))
    assert of(record).render_file(file(Templated("{{ .login }}"), source)) == b"a"
    with pytest.raises(
        TemplateError, match="'title' is a field of the record, and in templates the title of every record"
    ):
        of(record).render_file(file(Templated("{{ .title }}"), source))


KEYS = {"two dots": "..", "dots first": "..data", "one dot": ".", "too long": "k" * 254, "only blanks": " " * 300}


@pytest.mark.parametrize("name", KEYS.values(), ids=KEYS.keys())
def test_a_name_that_cannot_be_a_key_is_a_problem_of_that_secret(name: str) -> None:
    """The API server would reject the whole Secret with a sentence about validation."""
    record = Record("u9", "odd", "login", (Field(name, "text", name, ("value",)),))
    secret = KubernetesSecret("w", "s", (WholeRecord(RecordName(("odd",))),))
    with pytest.raises(
        FormatError, match=r"^Secret 's': field '.*' of record 'odd' \(u9\) cannot be a key, because .*k8sSecretKeys"
    ) as found:
        of(record).secret_data(secret)
    assert "value" not in str(found.value)
    assert of(record).secret_data(attrs.evolve(secret, keys={name: "key"})) == {"key": b"value"}


def test_a_field_and_a_file_never_compete_for_a_key() -> None:
    """A field and an attachment of one name are a problem of a Secret that has a key for this name."""
    record = Record(
        "u9", "odd", "login", (Field("ca.pem", "text", "ca.pem", ("x",)),), attachments=(Attachment("f1", "ca.pem"),)
    )
    secret = KubernetesSecret("w", "s", (WholeRecord(RecordName(("odd",))),), keys={"ca.pem": "ca.crt"})
    with pytest.raises(FormatError, match=r"field 'ca\.pem' of record .* and file 'ca\.pem' of record"):
        of(record).secret_data(secret)


def test_two_values_of_one_field_are_two_values() -> None:
    """Two indexes of one field are different values, and the same field by two names is one value."""
    hosts = [FieldValue(RecordName(("smtp",)), "hosts", index=number) for number in (0, 1)]
    with pytest.raises(FormatError, match=r"smtp\[hosts\]\[0\] \(u5\) and smtp\[hosts\]\[1\] \(u5\)"):
        of(SMTP).secret_data(KubernetesSecret("w", "s", tuple(hosts)))
    twice = (WholeRecord(RecordName(("u2",))), FieldValue(CACHE_NAME, "login"))
    assert of(CACHE).secret_data(KubernetesSecret("w", "s", twice)) == {"login": b"root"}


OLD, NEW = Attachment("f8", "ca.pem", modified=1), Attachment("f7", "ca.pem", modified=2)
CERTS = Record("u9", "certs", "file", (), attachments=(OLD, NEW, Attachment("f1", "key.pem", modified=9)))
CERTS_NAME = RecordName(("certs",))


class ByUid:
    """Returns the UID of an attachment as its content."""

    def __call__(self, record: Record, attachment: Attachment) -> bytes:
        """Return the UID of *attachment*."""
        return attachment.uid.encode()


EVERYWHERE = {
    "a file": lambda one: one.render_file(file(Formatted("raw"), FileContent(CERTS_NAME, "ca.pem"))),
    "a template": lambda one: one.render_file(file(Templated('{{ index .files "ca.pem" }}'), WholeRecord(CERTS_NAME))),
    "a key": lambda one: one.secret_data(KubernetesSecret("w", "s", (WholeRecord(CERTS_NAME),), keys={"ca.pem": "ca"}))[
        "ca"
    ],
    "a Secret": lambda one: one.secret_data(KubernetesSecret("w", "s", (FileContent(CERTS_NAME, "ca.pem"),)))["ca.pem"],
}


@pytest.mark.parametrize("read", EVERYWHERE.values(), ids=EVERYWHERE.keys())
@pytest.mark.parametrize("attachments", [(OLD, NEW), (NEW, OLD)], ids=["old first", "new first"])
def test_the_newest_attachment_of_a_name_counts_everywhere(read: Any, attachments: tuple[Attachment, ...]) -> None:
    """Wherever an attachment is used, the newest of its name is; a warning names it, and strict-lookup makes that an error."""
    record, warnings = attrs.evolve(CERTS, attachments=attachments), []
    assert read(Renderer(Library((record,)), False, ByUid(), render_template, warnings.append)) == b"f7"
    assert warnings == [
        "record 'certs' (u9): 2 attached files are named 'ca.pem', and the newest is used: f7; remove the old ones in Keeper"
    ]
    with pytest.raises(SelectionError, match=r"2 attached files are named 'ca\.pem'; .* write the UID of one: f7, f8"):
        read(Renderer(Library((record,)), True, ByUid(), render_template))
    by_uid = file(Formatted("raw"), FileContent(CERTS_NAME, "f8"))
    assert Renderer(Library((record,)), True, ByUid(), render_template).render_file(by_uid) == b"f8"


FIELD_NAMES = st.lists(st.sampled_from(["login", "password", "url", "Login", "pass-word"]), max_size=4, unique=True)
ASKED = st.lists(
    st.tuples(st.sampled_from(["r0", "r1", "t"]), st.sampled_from(["", "A_", "B_"]), FIELD_NAMES),
    min_size=1,
    max_size=4,
)


@given(st.lists(FIELD_NAMES, min_size=3, max_size=3), ASKED, st.lists(FIELD_NAMES, max_size=1))
def test_a_variable_has_one_value_or_is_a_problem(
    fields: list[list[str]], asked: list[tuple[str, str, list[str]]], explicit: list[list[str]]
) -> None:
    """Whatever is asked of three records, two of which have one title: a variable has the value of its only field, or an error."""
    records = [
        Record(
            f"r{number}",
            "t" if number else "other",
            "login",
            tuple(Field(name, name, "", (f"r{number}.{name}",)) for name in names),
        )
        for number, names in enumerate(fields)
    ]
    uid_of = {"r0": "r0", "r1": "r1", "t": "r1"}
    items = tuple(
        RecordVariablesItem(WholeRecord(RecordName((name,))), prefix, tuple(chosen)) for name, prefix, chosen in asked
    )
    named = tuple(
        VariableItem("LOGIN", FieldValue(RecordName(("r2",)), name)) for names in explicit for name in names[:1]
    )
    wanted: dict[str, set[str]] = {}
    for name, prefix, chosen in asked:
        for field in chosen or fields[int(uid_of[name][1])]:
            wanted.setdefault(to_variable_name(field, prefix=prefix), set()).add(f"{uid_of[name]}.{field}")
    try:
        found = variables(of(*records), Environment("/env", "exec", 0o400, named, items))
    except (FormatError, SelectionError):
        return
    for name, value in found.items():
        overridden = [
            f"r2.{item.source.field}" for item in named if item.name == name and isinstance(item.source, FieldValue)
        ]
        assert [value] == overridden or (not overridden and wanted[name] == {value})
    assert found.keys() == wanted.keys() | {item.name for item in named}


@given(st.lists(FIELD_NAMES, min_size=2, max_size=2), st.booleans())
def test_a_key_has_one_value_or_is_a_problem(fields: list[list[str]], same: bool) -> None:
    """A Secret of two records has every value under its key, or is an error that names both."""
    records = [
        Record(f"r{number}", "t", "login", tuple(Field(name, name, "", (f"r{number}.{name}",)) for name in names))
        for number, names in enumerate(fields)
    ]
    uids = ["r0", "r0"] if same else ["r0", "r1"]
    secret = KubernetesSecret("w", "s", tuple(WholeRecord(RecordName((uid,))) for uid in uids))
    expected = {(name, f"{uid}.{name}") for uid in set(uids) for name in fields[int(uid[1])]}
    clash = len({name for name, _ in expected}) < len(expected)
    if clash:
        with pytest.raises(FormatError, match=r"two values for the key .*\(r0\).*\(r1\)"):
            of(*records).secret_data(secret)
        return
    data = of(*records).secret_data(secret)
    assert {(key, value.decode()) for key, value in data.items()} == expected


CLEARED = Record(
    "u9",
    "cleared",
    "login",
    (
        Field("login", "login", "", ("a",)),
        Field("password", "password", "", ()),
        Field("pin", "pinCode", "", ("",)),
        Field("none", "text", "none", (None,)),
        Field("host", "host", "", ({"hostName": "", "port": "1"},)),
    ),
    attachments=(Attachment("f9", "empty.txt"),),
)
_CLEARED = RecordName(("cleared",))
_ONE_VALUE: list[FieldValue | RecordText] = [
    *(FieldValue(_CLEARED, name) for name in ("password", "pin", "none")),
    FieldValue(_CLEARED, "host", property="hostName"),
    FieldValue(_CLEARED, "notes"),
    FieldValue(_CLEARED, "pin", index=0),
    RecordText(_CLEARED, "notes"),
]


@pytest.mark.parametrize("reference", _ONE_VALUE, ids=str)
def test_nothing_is_delivered_in_place_of_a_value(reference: FieldValue | RecordText) -> None:
    """An empty value is a problem of a file, a variable and a key of a Secret, which the message tells how to end."""
    secret = KubernetesSecret("w", "s", (reference,))
    environment = Environment("/env", "exec", 0o400, (VariableItem("X", reference),))
    for deliver in (
        lambda: of(CLEARED).render_file(file(Formatted("raw"), reference)),
        lambda: of(CLEARED).secret_data(secret),
        lambda: variables(of(CLEARED), environment),
    ):
        with pytest.raises(SelectionError, match=r"^record 'cleared'.* has no (value|text); enter (one|it) in Keeper$"):
            deliver()


def test_fields_that_the_pod_names_must_have_values_where_they_are_alone() -> None:
    """Listed fields become whole variables or keys of a Secret; in a file with several fields they may be empty."""
    item = RecordVariablesItem(WholeRecord(_CLEARED), "", ("login", "password"))
    with pytest.raises(SelectionError, match="field 'password': it has no value"):
        variables(of(CLEARED), Environment("/env", "exec", 0o400, records=(item,)))
    with pytest.raises(SelectionError, match="field 'password': it has no value"):
        of(CLEARED).secret_data(KubernetesSecret("w", "s", (WholeRecord(_CLEARED),), keys={"password": "pw"}))
    listed = file(Formatted("json", ("login", "password")), WholeRecord(_CLEARED))
    assert json.loads(of(CLEARED).render_file(listed)) == {"login": "a", "password": ""}


def test_fields_of_a_whole_record_may_be_empty() -> None:
    """Many records have fields that nobody fills."""
    whole = attrs.evolve(CLEARED, fields=CLEARED.fields[:2])
    environment = Environment("/env", "exec", 0o400, records=(RecordVariablesItem(WholeRecord(_CLEARED)),))
    assert {"LOGIN": "a", "PASSWORD": ""}.items() <= variables(of(whole), environment).items()
    assert of(CLEARED).secret_data(KubernetesSecret("w", "s", (WholeRecord(_CLEARED),)))["password"] == b""


def test_no_file_is_empty_by_accident() -> None:
    """A template or a format that writes nothing is a problem; an attached file that is empty is that file, with a warning."""
    bare = Record("u9", "cleared", "login", ())
    for content in (Templated("{{ if .none }}x{{ end }}\n"), Formatted("env")):
        with pytest.raises((FormatError, TemplateError), match="empty"):
            of(bare).render_file(file(content, WholeRecord(_CLEARED)))
    with pytest.raises(FormatError, match="nothing to write"):
        of(bare).render_record(bare, "env")
    warnings: list[str] = []
    renderer = Renderer(Library((CLEARED,)), False, lambda *_: b"", render_template, warnings.append)
    assert renderer.render_file(file(Formatted("raw"), FileContent(_CLEARED, "empty.txt"))) == b""
    assert "is empty in Keeper" in warnings[0]
