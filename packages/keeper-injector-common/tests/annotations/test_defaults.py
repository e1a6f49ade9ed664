"""Defaults of annotations in a chart's values and in the webhook's settings."""

import pytest
from annotation_requests import ONE_SECRET

from keeper_injector_common.annotations.defaults import Defaults, read
from keeper_injector_common.annotations.parser import parse_request
from keeper_injector_common.annotations.request import AdditionalCa
from keeper_injector_common.errors import Problem
from keeper_injector_common.yaml_document import Section, load_yaml


def parse(where: str, text: str, problems: list[Problem]) -> Defaults:
    """Read the defaults of a chart's values."""
    content = load_yaml(text)
    assert isinstance(content, dict)
    return read(Section(content, f"{where}: ", problems))


def test_defaults_of_a_namespace_override_those_for_all() -> None:
    """A namespace has the defaults for all, overridden by its own."""
    defaults = Defaults({"log-level": "debug", "sidecar": "native"}, {"shop": {"sidecar": "classic"}})
    assert defaults.within("shop") == {"log-level": "debug", "sidecar": "classic"}
    assert defaults.within("other") == {"log-level": "debug", "sidecar": "native"}


def test_a_ca_of_a_namespace_replaces_the_ca_for_all() -> None:
    """A namespace's Secret replaces a ConfigMap for all, because only one of the two may be set."""
    chart = Defaults({"ca-cert-configmap": "everybodys"}, {"shop": {"ca-cert-secret": "shops"}})
    assert parse_request(ONE_SECRET, chart.within("shop")).ca == AdditionalCa("secret", "shops", "ca.crt")
    assert parse_request(ONE_SECRET, chart.within("other")).ca == AdditionalCa("configmap", "everybodys", "ca.crt")


def test_defaults_in_the_values_of_a_chart() -> None:
    """Both mappings are read, other keys are ignored, and a YAML boolean is accepted as a switch."""
    problems: list[Problem] = []
    text = "replicas: 2\ndefaults: {init-only: true}\nnamespaceDefaults: {shop: {refresh-interval: 1h}}"
    assert parse("values.yaml", text, problems) == Defaults({"init-only": "true"}, {"shop": {"refresh-interval": "1h"}})
    assert problems == []


@pytest.mark.parametrize("text", ["{}", "replicas: 2"])
def test_values_without_defaults(text: str) -> None:
    """Values that set no defaults are valid."""
    assert parse("values.yaml", text, []) == Defaults()


def test_every_invalid_default_is_a_problem() -> None:
    """Each problem has its path, and the valid defaults are still read."""
    problems: list[Problem] = []
    text = "defaults: {secret: a, refresh-interval: 5x, log-level: info}\nnamespaceDefaults: {shop: {zzz: 1}, x: []}"
    assert parse("values.yaml", text, problems).everywhere["log-level"] == "info"
    assert list(map(str, problems)) == [
        "values.yaml: defaults.secret: this annotation cannot have a default; remove it",
        "values.yaml: defaults.refresh-interval: '5x' is not a duration; write 30s, 5m or 1h30m",
        "values.yaml: namespaceDefaults.shop.zzz: this annotation cannot have a default; remove it",
        "values.yaml: namespaceDefaults.x: a list found; write a mapping",
    ]
