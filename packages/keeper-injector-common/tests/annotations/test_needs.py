"""An annotation that has no effect is never accepted in silence; over the whole table of annotations."""

from __future__ import annotations

import attrs
import pytest
from annotation_requests import keys

from keeper_injector_common.annotations.needs import NEEDS
from keeper_injector_common.annotations.parser import read_request
from keeper_injector_common.annotations.request import InjectionRequest
from keeper_injector_common.annotations.table import ANNOTATIONS, BY_NAME, FAMILIES, PREFIX, Annotation
from keeper_injector_common.errors import Problem

BASE = {f"{PREFIX}inject": "true", f"{PREFIX}secret": "db"}
EXAMPLES = {"env-prefix-<name>": ("env-prefix-db", "SMTP_"), "fields-<name>": ("fields-db", "login")}
"""The annotation of a family that belongs to the record of BASE."""


def read(**more: str) -> tuple[InjectionRequest, list[Problem]]:
    """Return the request of BASE and *more*, without its warnings, and all that is reported."""
    request, problems = read_request({**BASE, **more})
    return attrs.evolve(request, warnings=()), [*request.warnings, *problems]


def example(annotation: Annotation) -> dict[str, str]:
    """Return the annotation with a text that is not its default."""
    name, text = EXAMPLES.get(annotation.name, (annotation.name, annotation.example))
    if annotation.stem and annotation.name not in EXAMPLES:
        name = f"{annotation.stem}{'VALUE' if annotation.stem == 'env-' else 'db'}"
    if text == annotation.default:
        text = next((word for word in annotation.words if word != text), f"other-{text}")
    return {PREFIX + name: text}


@pytest.mark.parametrize("annotation", ANNOTATIONS, ids=lambda item: item.name)
def test_an_annotation_has_an_effect_or_is_reported(annotation: Annotation) -> None:
    """Set alone beside one secret, it changes the request, or a warning or problem names it."""
    if annotation.name == "inject":
        return
    more = example(annotation)
    request, reported = read(**more)
    before, _ = read()
    (key,) = more
    assert request != before or any(item.where.startswith(key) for item in reported), "without effect, and silent"


@pytest.mark.parametrize(("name", "needed"), NEEDS.items())
def test_a_warning_names_what_is_missing_and_ends_with_it(name: str, needed: tuple[str, ...]) -> None:
    """Without the other annotation there is a warning, and any of those that help ends it."""
    annotation = BY_NAME.get(name) or FAMILIES[name.partition("<")[0]]
    more = example(annotation)
    (key,) = more
    opposite: dict[str, str] = {}
    for condition in needed:
        other, _, value = condition.partition("=")
        if value and BY_NAME[other].default == value:
            opposite[PREFIX + other] = "true" if value == "false" else "aws-secrets-manager"
    _, reported = read(**more, **opposite)
    assert any(item.where == key and "has no effect" in item.found for item in reported)
    for condition in needed:
        other, _, value = condition.partition("=")
        helper = {PREFIX + other: value} if value else example(BY_NAME.get(other) or FAMILIES[other.partition("<")[0]])
        _, reported = read(**more, **helper)
        assert not any(item.where == key and "has no effect" in item.found for item in reported), condition


def test_a_default_of_the_platform_does_not_warn_a_pod() -> None:
    """A chart or a namespace may set a key for pods that name a Secret; the others are not warned."""
    request, _ = read_request(BASE, {"proxy-secret-key": "proxy", "metrics-port": "9464", "init-only": "true"})
    assert not request.warnings


def test_a_secret_beside_a_template_says_what_it_contains() -> None:
    """The output of the template is a file; the Kubernetes Secret has the fields."""
    single = {
        "secret-db": "db:/app/x",
        "template-db": "{{ .password }}",
        "inject-as-k8s-secret": "true",
        "k8s-secret-name": "app",
    }
    request, _ = read_request(keys(inject="true") | {PREFIX + name: text for name, text in single.items()})
    assert [item.where for item in request.warnings] == [f"{PREFIX}inject-as-k8s-secret"]
    config = """\
secrets:
- record: db
  path: /app/x
  template: "{{ .password }}"
  injectAsK8sSecret: true
  k8sSecretName: app
"""
    request, _ = read_request(keys(inject="true", config=config))
    assert [item.where for item in request.warnings] == [f"{PREFIX}config: secrets[0].injectAsK8sSecret"]


@pytest.mark.parametrize(
    ("annotations", "warned"),
    [
        ({"env-prefix": "NODE_"}, True),
        ({"env-prefix": "aws_"}, True),
        ({"env-prefix": "NODE_", "fields-db": "login"}, False),
        ({"env-prefix": "DB_"}, False),
    ],
)
def test_a_prefix_of_a_runtime_is_the_choice_of_the_pod(annotations: dict[str, str], *, warned: bool) -> None:
    """It is accepted with a warning, unless the pod lists the fields."""
    more = {PREFIX + name: text for name, text in annotations.items()}
    request, problems = read_request({**BASE, f"{PREFIX}inject-env-vars": "true", **more})
    assert not problems
    assert ["also control programs" in item.found for item in request.warnings] == [True] * warned
