"""Annotations → request: what they ask for, and every problem at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_injector_common.annotations.defaults import Defaults
from keeper_injector_common.annotations.parser import parse_request, wants_injection
from keeper_injector_common.annotations.request import (
    AdditionalCa,
    InjectionRequest,
    SecretCredentials,
    Variable,
)
from keeper_injector_common.annotations.table import ANNOTATIONS, PREFIX
from keeper_injector_common.errors import AnnotationsError, Problem, Severity
from keeper_injector_common.plan.credentials import AwsCredentials
from keeper_injector_common.plan.delivery import Formatted

ASKED = {f"{PREFIX}inject": "true", f"{PREFIX}secret": "db"}


def request(**annotations: str) -> InjectionRequest:
    """Read annotations given by name, with ``_`` for ``-``."""
    return parse_request({PREFIX + name.replace("_", "-"): text for name, text in annotations.items()})


def problems(**annotations: str) -> list[str]:
    """Return what is wrong with annotations."""
    with pytest.raises(AnnotationsError) as caught:
        request(**annotations)
    return [str(problem).removeprefix(PREFIX) for problem in caught.value.problems]


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
    """``secret-<name>`` takes a path, a record, a field, a notation, each with or without path."""
    (file,) = request(inject="true", secret_name=value).files
    assert (str(file.sources[0]), file.path, file.content) == (source, path, Formatted(form))


def test_two_annotations_are_enough() -> None:
    """One secret lands below /keeper/secrets, by its title, with the default credentials."""
    found = request(inject="true", secret="database-credentials")
    assert [file.path for file in found.files] == ["/keeper/secrets/database-credentials.json"]
    assert found.credentials == SecretCredentials("keeper-credentials")
    assert found.refresh_interval == 300


def test_a_comma_list_is_several_secrets() -> None:
    """``secret`` and ``secrets`` both take a list."""
    assert len(request(inject="true", secret="a, b", secrets="c").files) == 3


def test_a_pods_own_ca_takes_the_place_of_a_default_one() -> None:
    """A default names a ConfigMap and the pod a Secret, or the other way round; both from one hand are a problem."""
    own = {f"{PREFIX}inject": "true", f"{PREFIX}secret": "db", f"{PREFIX}ca-cert-secret": "ours"}
    found = parse_request(own, {"ca-cert-configmap": "everybodys", "ca-cert-key": "root.crt"})
    assert found.ca == AdditionalCa("secret", "ours", "root.crt")
    chart = Defaults({"ca-cert-configmap": "everybodys"}, {"shop": {"ca-cert-secret": "shops"}})
    assert parse_request(ASKED, chart.within("shop")).ca == AdditionalCa("secret", "shops", "ca.crt")
    assert parse_request(ASKED, chart.within("other")).ca == AdditionalCa("configmap", "everybodys", "ca.crt")
    with pytest.raises(AnnotationsError, match="keep one of the two"):
        parse_request({**own, f"{PREFIX}ca-cert-configmap": "ours"})


def test_what_is_odd_is_told_beside_what_is_wrong() -> None:
    """A misspelt annotation may be the very reason why nothing is asked for."""
    with pytest.raises(AnnotationsError) as caught:
        request(inject="true", sekret="db")
    assert [str(problem) for problem in caught.value.problems] == [
        f"{PREFIX}inject: nothing to inject; add {PREFIX}secret with the title of a record"
    ]
    assert caught.value.warnings == (
        Problem(f"{PREFIX}sekret", "unknown annotation, ignored", f"did you mean {PREFIX}secret?", Severity.WARNING),
    )


def test_a_template_is_judged_with_all_the_rest() -> None:
    """Wherever it stands; its own line is named."""
    found = problems(
        inject="true",
        secret_a="a:/app/a",
        template_a="{{ .login",
        refresh_interval="5x",
        config="secrets: [{record: b, path: /app/b, template: '{{ end }}'}]",
    )
    assert [item.split(":")[0] for item in found] == ["refresh-interval", "template-a", "config"]
    assert found[2].startswith("config: secrets[0].template: template, parsing line 1")


def test_every_problem_is_reported_at_once() -> None:
    """A user mends all mistakes in one go."""
    assert problems(inject="maybe", secret_a="db[", secret_b="db:/", refresh_interval="5x", file_mode="9") == [
        "file-mode: '9' is not a file mode; write three octal digits such as 0440",
        "inject: 'maybe' is neither true nor false; write true or false",
        "refresh-interval: '5x' is not a duration; write 30s, 5m or 1h30m",
        "secret-a: 'db[' at character 4: ']' is missing; add it",
        "secret-b: '/' is a directory; add the name of the file",
    ]


@pytest.mark.parametrize(
    ("annotations", "problem"),
    [
        ({}, "nothing to inject"),
        ({"secret": "a", "folder": "x", "folder_uid": "y"}, "keep one of the two"),
        ({"secret": "a", "ca_cert_secret": "x", "ca_cert_configmap": "y"}, "keep one of the two"),
        ({"secret": "a", "auth_method": "aws-secrets-manager"}, "needs keeper.security/aws-secret-id"),
        ({"secret": "a", "signal_process": "nginx"}, "no signal is set"),
        ({"format_x": "env", "secret": "a"}, "there is no keeper.security/secret-x that it applies to"),
        ({"secret_x": "a:/b/c", "format_x": "env", "template_x": "y"}, "keep one of the two"),
        ({"secret_x": "a:/b/c", "format_x": "xml"}, "'xml' is unknown"),
        ({"file_x": "/app/x"}, "no file is named"),
        ({"env_X": "db"}, "is a whole record"),
        ({"env_X": "keeper://db/file/x"}, "a file cannot be a variable"),
        ({"secret": "a", "inject_as_k8s_secret": "true"}, "the Secret has no name"),
    ],
)
def test_what_cannot_be(annotations: dict[str, str], problem: str) -> None:
    """Contradictions and gaps are refused, each with the way out."""
    assert any(problem in text for text in problems(inject="true", **annotations))


def test_unknown_annotations_are_warnings() -> None:
    """A misspelt key is not silent: the nearest one is named."""
    (warning,) = request(inject="true", secret="a", refresh_intervall="5m").warnings
    assert warning.right == "did you mean keeper.security/refresh-interval?"


def test_the_old_name_of_the_credentials_works() -> None:
    """``auth-secret`` stands for ``ksm-config``, with a warning."""
    found = request(inject="true", secret="a", auth_secret="mine")
    assert found.credentials == SecretCredentials("mine")
    assert found.warnings[0].right == "write keeper.security/ksm-config"


def test_defaults_give_way_to_the_pod() -> None:
    """A chart's default holds until the pod says otherwise; a wrong default is reported as such."""
    annotations = {f"{PREFIX}inject": "true", f"{PREFIX}secret": "a"}
    defaults = {"refresh-interval": "1h", "auth-method": "aws-secrets-manager", "aws-secret-id": "keeper"}
    assert parse_request(annotations, defaults).refresh_interval == 3600
    assert parse_request(annotations, defaults).credentials == AwsCredentials("keeper")
    assert parse_request({**annotations, f"{PREFIX}refresh-interval": "30s"}, defaults).refresh_interval == 30
    with pytest.raises(AnnotationsError, match="default secret: this annotation cannot have a default"):
        parse_request(annotations, {"secret": "x"})


def test_single_variables() -> None:
    """``env-<NAME>`` is one variable from one field."""
    (variable,) = request(inject="true", env_PASSWORD="db[password]").variables
    assert isinstance(variable, Variable)
    assert (variable.name, str(variable.source)) == ("PASSWORD", "db[password]")


@pytest.mark.parametrize(("annotations", "wanted"), [({}, False), ({"inject": "no"}, False), ({"inject": "on"}, True)])
def test_the_switch(annotations: dict[str, str], wanted: bool) -> None:
    """Without the switch nothing happens."""
    assert wants_injection({PREFIX + name: text for name, text in annotations.items()}) is wanted


KEYS = st.sampled_from([PREFIX + item.name.replace("<name>", "x").replace("<NAME>", "X") for item in ANNOTATIONS])
TEXTS = st.text(max_size=30) | st.sampled_from(
    ["true", "db", "db[pw]:/a/b", "/a/b", "5m", "secrets: [{record: a}]", "{", "0440"]
)


@given(st.dictionaries(KEYS | st.text(max_size=10).map(lambda text: PREFIX + text), TEXTS, max_size=8))
def test_any_annotations_are_read_or_refused(annotations: dict[str, str]) -> None:
    """Nothing that a user writes raises anything but AnnotationsError, whose every problem names an annotation."""
    problems: tuple[Problem, ...] = ()
    try:
        parse_request(annotations)
    except AnnotationsError as error:
        problems = error.problems
    assert all(problem.where.startswith(PREFIX) for problem in problems)


@pytest.mark.parametrize(
    ("modes", "refused"), [(("merge", "merge"), 0), (("overwrite", "merge"), 1), (("fail", "fail"), 1)]
)
def test_two_entries_of_one_kubernetes_secret(modes: tuple[str, str], refused: int) -> None:
    """They may add to it, and may not undo each other."""
    entries = "".join(
        f"  - {{record: r{number}, injectAsK8sSecret: true, k8sSecretName: app, k8sSecretMode: {mode}}}\n"
        for number, mode in enumerate(modes)
    )
    annotations = {f"{PREFIX}inject": "true", f"{PREFIX}config": f"secrets:\n{entries}"}
    problems: tuple[Problem, ...] = ()
    try:
        assert len(parse_request(annotations).kubernetes_secrets) == 2
    except AnnotationsError as error:
        problems = error.problems
    assert len(problems) == refused
    assert all("Secret 'app' is written by" in problem.message for problem in problems)
