"""From annotations to a request: all parts together, and every problem at once."""

import pytest
from annotation_requests import ONE_SECRET, keys, problems_of, request_of
from hypothesis import given
from hypothesis import strategies as st

from keeper_injector_common.annotations.parser import parse_request, wants_injection
from keeper_injector_common.annotations.request import AdditionalCa, SecretCredentials
from keeper_injector_common.annotations.table import ANNOTATIONS, PREFIX
from keeper_injector_common.errors import AnnotationsError, Problem, Severity
from keeper_injector_common.plan.credentials import AwsCredentials


def test_two_annotations_are_enough() -> None:
    """A secret is written below /keeper/secrets under its title, and the other settings have their defaults."""
    found = request_of(secret="database-credentials")
    assert [file.path for file in found.files] == ["/keeper/secrets/database-credentials.json"]
    assert found.credentials == SecretCredentials("keeper-credentials")
    assert found.refresh_interval == 300


@pytest.mark.parametrize(("annotations", "wanted"), [({}, False), ({"inject": "no"}, False), ({"inject": "on"}, True)])
def test_the_switch(annotations: dict[str, str], wanted: bool) -> None:
    """A pod without the switch does not want injection."""
    assert wants_injection(keys(**annotations)) is wanted


def test_an_invalid_switch_is_a_problem() -> None:
    """A switch with an invalid value raises an error that names the annotation."""
    with pytest.raises(AnnotationsError, match="inject: 'maybe' is neither true nor false"):
        wants_injection(keys(inject="maybe"))


def test_every_problem_is_reported_at_once() -> None:
    """A user can correct all mistakes in one go."""
    found = problems_of(inject="maybe", secret_a="db[", secret_b="db:/", refresh_interval="5x", file_mode="9")
    assert found == [
        "file-mode: '9' is not a file mode; write three octal digits such as 0440",
        "inject: 'maybe' is neither true nor false; write true or false",
        "refresh-interval: '5x' is not a duration; write 30s, 5m or 1h30m",
        "secret-a: 'db[' at character 4: ']' is missing; add it",
        "secret-b: '/' is a directory; add the name of the file",
    ]


def test_problems_of_templates_are_reported_with_all_others() -> None:
    """An invalid template is reported with its line, in an annotation and in the YAML document."""
    found = problems_of(
        secret_a="a:/app/a",
        template_a="{{ .login",
        refresh_interval="5x",
        config="secrets: [{record: b, path: /app/b, template: '{{ end }}'}]",
    )
    assert [item.split(":")[0] for item in found] == ["refresh-interval", "template-a", "config"]
    assert found[2].startswith("config: secrets[0].template: template, parsing line 1")


@pytest.mark.parametrize(
    ("annotations", "problem"),
    [
        ({}, "nothing to inject"),
        ({"secret": "a", "ca_cert_secret": "x", "ca_cert_configmap": "y"}, "keep one of the two"),
        ({"secret": "a", "auth_method": "aws-secrets-manager"}, "needs keeper.security/aws-secret-id"),
        ({"secret": "a", "signal_process": "nginx"}, "no signal is set"),
    ],
)
def test_incomplete_and_contradictory_annotations(annotations: dict[str, str], problem: str) -> None:
    """Annotations that contradict each other or lack something are reported with a way out."""
    assert any(problem in text for text in problems_of(**annotations))


def test_an_error_carries_the_warnings() -> None:
    """A misspelled annotation may be the reason why nothing is to be injected, so it is reported too."""
    with pytest.raises(AnnotationsError) as caught:
        request_of(sekret="db")
    assert [str(problem) for problem in caught.value.problems] == [
        f"{PREFIX}inject: nothing to inject; add {PREFIX}records with the title of a record"
    ]
    assert caught.value.warnings == (
        Problem(f"{PREFIX}sekret", "unknown annotation, ignored", f"did you mean {PREFIX}secret?", Severity.WARNING),
    )


def test_a_pod_overrides_the_defaults_of_a_chart() -> None:
    """A chart's default applies until the pod sets the annotation. An invalid default is reported as such."""
    defaults = {"refresh-interval": "1h", "auth-method": "aws-secrets-manager", "aws-secret-id": "keeper"}
    assert parse_request(ONE_SECRET, defaults).refresh_interval == 3600
    assert parse_request(ONE_SECRET, defaults).credentials == AwsCredentials("keeper")
    assert parse_request({**ONE_SECRET, f"{PREFIX}refresh-interval": "30s"}, defaults).refresh_interval == 30
    with pytest.raises(AnnotationsError, match="default secret: this annotation cannot have a default"):
        parse_request(ONE_SECRET, {"secret": "x"})


def test_a_ca_of_a_pod_overrides_the_ca_of_a_chart() -> None:
    """A pod's Secret replaces a default ConfigMap, while a pod that sets both is rejected."""
    own = {**ONE_SECRET, f"{PREFIX}ca-cert-secret": "ours"}
    found = parse_request(own, {"ca-cert-configmap": "everybodys", "ca-cert-key": "root.crt"})
    assert found.ca == AdditionalCa("secret", "ours", "root.crt")
    with pytest.raises(AnnotationsError, match="keep one of the two"):
        parse_request({**own, f"{PREFIX}ca-cert-configmap": "ours"})


@pytest.mark.parametrize(
    ("modes", "refused"), [(("merge", "merge"), 0), (("overwrite", "merge"), 1), (("fail", "fail"), 1)]
)
def test_two_entries_of_one_kubernetes_secret(modes: tuple[str, str], refused: int) -> None:
    """Two entries may write one Kubernetes Secret only if both merge."""
    entries = "".join(
        f"  - {{record: r{number}, injectAsK8sSecret: true, k8sSecretName: app, k8sSecretMode: {mode}}}\n"
        for number, mode in enumerate(modes)
    )
    problems: tuple[Problem, ...] = ()
    try:
        assert len(request_of(config=f"secrets:\n{entries}").kubernetes_secrets) == 2
    except AnnotationsError as error:
        problems = error.problems
    assert len(problems) == refused
    assert all("Secret 'app' is written by" in problem.message for problem in problems)


KEYS = st.sampled_from([PREFIX + item.name.replace("<name>", "x").replace("<NAME>", "X") for item in ANNOTATIONS])
TEXTS = st.text(max_size=30) | st.sampled_from(
    [
        *(
            "true",
            "db",
            "db[pw]:/a/b",
            "/a/b",
            "5m",
            "secrets: [{record: a}]",
            "{",
            "0440",
            "db[",
            "db]",
            "a\\b",
            "db[a][b][c]",
        ),
        *("{{ .login", "{{ now }}", "a:relative", "record:file:/x", "secrets: [{k8sSecretName: x}]", "folders: [{}]"),
    ]
)


@given(st.dictionaries(KEYS | st.text(max_size=10).map(lambda text: PREFIX + text), TEXTS, max_size=8))
def test_any_annotations_are_read_or_reported(annotations: dict[str, str]) -> None:
    """Any annotations give a request or AnnotationsError, and each problem says where, what, and what to do about it."""
    try:
        problems, warnings = (), parse_request(annotations).warnings
    except AnnotationsError as error:
        problems, warnings = error.problems, error.warnings
    assert all(
        problem.where.startswith(PREFIX) and problem.found and problem.right for problem in (*problems, *warnings)
    )
    assert {problem.severity for problem in problems} <= {Severity.ERROR}
    assert {problem.severity for problem in warnings} <= {Severity.WARNING}
