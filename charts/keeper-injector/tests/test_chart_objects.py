"""The objects that helm renders with each of ci/*-values.yaml: their kinds, names, labels and selectors."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from rendered_chart import (
    CHART,
    CI,
    COMPONENT,
    NAME,
    POLICY,
    SELECTED,
    VERSIONS,
    for_each_ci,
    helm,
    needs_helm,
    pod_of,
    render,
)

pytestmark = needs_helm

WEBHOOK = ["ConfigMap", "Deployment", "MutatingWebhookConfiguration", "Service", "ServiceAccount"]
OWN = ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "Secret", *POLICY]
NO_NAMESPACE = {"ClusterRole", "ClusterRoleBinding", "MutatingWebhookConfiguration", *POLICY}


@pytest.mark.parametrize(
    ("ci", "more"),
    [
        ("default", ["PodDisruptionBudget", *OWN]),
        ("minimal", OWN),
        ("cert-manager", ["Certificate", "Certificate", "Issuer", "Issuer", "PodDisruptionBudget"]),
        ("given-secret", ["PodDisruptionBudget"]),
        ("monitoring", ["ConfigMap", "PodDisruptionBudget", "PodMonitor", "PrometheusRule", "ServiceMonitor", *OWN]),
        (
            "relay",
            [
                *("ConfigMap", "Deployment", "NetworkPolicy", "Service", "ServiceAccount"),
                *("PodDisruptionBudget", "PodDisruptionBudget", "ServiceMonitor", "ServiceMonitor", *OWN),
            ],
        ),
        (
            "hardened",
            [
                *("Certificate", "HorizontalPodAutoscaler", "NetworkPolicy", "PodDisruptionBudget"),
                *("Role", "RoleBinding"),
            ],
        ),
    ],
)
def test_nothing_else_is_rendered(ci: str, more: list[str]) -> None:
    """The chart renders the objects that the webhook needs and those that a value enables, and no others."""
    assert sorted(item["kind"] for item in render(ci)) == sorted(WEBHOOK + more)


@for_each_ci
def test_every_object_is_labelled_and_has_its_place(ci: str) -> None:
    """Every object has the recommended labels, a namespace if its kind has one, and a valid name."""
    for item in render(ci):
        metadata = item["metadata"]
        component = metadata["labels"][COMPONENT]
        assert component in {"webhook", "relay", "agent"}
        assert metadata["labels"].items() >= {**SELECTED, COMPONENT: component}.items()
        assert metadata["labels"].items() >= {
            ("app.kubernetes.io/version", VERSIONS["appVersion"]),
            ("app.kubernetes.io/managed-by", "Helm"),
            ("app.kubernetes.io/part-of", "keeper-injector"),
            ("helm.sh/chart", f"keeper-injector-{VERSIONS['version']}"),
        }
        assert ("namespace" in metadata) is (item["kind"] not in NO_NAMESPACE)
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", metadata["name"])
    assert len({(item["kind"], item["metadata"]["name"]) for item in render(ci)}) == len(render(ci))


def test_common_labels_do_not_replace_ours() -> None:
    """Common labels are added to every object, but not to selectors."""
    ours = {"team": "platform", "app.kubernetes.io/name": "mine", "app.kubernetes.io/part-of": "mine"}
    objects = render("monitoring", commonLabels=ours, networkPolicy__enabled=True)

    for item in objects:
        component = item["metadata"]["labels"][COMPONENT]
        assert item["metadata"]["labels"].items() >= {**SELECTED, COMPONENT: component, "team": "platform"}.items()
        assert item["metadata"]["labels"]["app.kubernetes.io/part-of"] == "keeper-injector"
    assert pod_of(objects)["metadata"]["labels"]["team"] == "platform"
    assert selectors(objects) == [SELECTED] * 7


YAML_WORDS = ["123", "on", "0x10", "1e3", "null", "12:30:00"]
"""Texts that are numbers, booleans or other things in YAML, if they are not in quotes."""


@pytest.mark.parametrize("word", YAML_WORDS)
@for_each_ci
def test_names_that_yaml_reads_as_something_else_stay_texts(ci: str, word: str) -> None:
    """Namespaces, releases and accounts may be called `123` or `on`: the objects are those with another name in its place."""

    def rendered(name: str) -> Any:
        named = {"fullnameOverride": name, "serviceAccount__name": name, "priorityClassName": name}
        rights = {"kubernetesSecrets__namespaces": [name], "kubernetesSecrets__serviceAccounts": [name]}
        monitors = {"monitoring__serviceMonitor__enabled": True, "monitoring__prometheusRule__enabled": True}
        more = {**named, **(rights if re.fullmatch("[a-z0-9]+", name) else {}), **monitors}
        found = render(ci, "--namespace", name, release=name if name.isalnum() else "x", **more)
        return sorted(found, key=lambda item: (item["kind"], json.dumps(item["metadata"]["name"])))

    assert rendered(word) == replaced(rendered("placeholder" if word.isalnum() else "place:holder"), word)


def replaced(value: Any, word: str) -> Any:
    """Return *value* with *word* in place of the placeholder, in all texts and keys."""
    if isinstance(value, dict):
        return {key: replaced(item, word) for key, item in value.items()}
    if isinstance(value, list):
        return [replaced(item, word) for item in value]
    return re.sub("place:?holder", word, value) if isinstance(value, str) else value


@pytest.mark.parametrize("values", [{}, {"nameOverride": "other"}, {"fullnameOverride": "other"}])
def test_no_value_changes_a_selector(values: dict[str, Any]) -> None:
    """Selectors are immutable, so an upgrade may not change them."""
    objects = render("monitoring", networkPolicy__enabled=True, commonLabels={"a": "b"}, podLabels={"c": "d"}, **values)

    assert selectors(objects) == [SELECTED] * 7


def selectors(objects: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Return all that select the webhook's pods: Deployment, budget, policy, spreads, monitor, Service."""
    specs = {item["kind"]: item["spec"] for item in objects if "spec" in item}
    pod = specs["Deployment"]["template"]["spec"]
    return [
        specs["Deployment"]["selector"]["matchLabels"],
        specs["PodDisruptionBudget"]["selector"]["matchLabels"],
        specs["NetworkPolicy"]["podSelector"]["matchLabels"],
        *(spread["labelSelector"]["matchLabels"] for spread in pod["topologySpreadConstraints"]),
        specs["ServiceMonitor"]["selector"]["matchLabels"],
        specs["Service"]["selector"],
    ]


def test_selectors_do_not_change_with_the_version(tmp_path: Path) -> None:
    """A later version of the chart selects the pods of this version."""
    done = helm("package", CHART, "--version", "9.9.9", "--app-version", "9.9.9", "--destination", tmp_path)
    assert done.returncode == 0, done.stderr
    objects = render("monitoring", chart=tmp_path / "keeper-injector-9.9.9.tgz", networkPolicy__enabled=True)

    assert selectors(objects) == [SELECTED] * 7
    assert pod_of(objects)["metadata"]["labels"]["app.kubernetes.io/version"] == "9.9.9"


@pytest.mark.parametrize("release", ["keeper-injector", "a", "a" * 53, f"{'b' * 49}-cd"])
def test_names_fit(release: str) -> None:
    """However long a release's name is, no name is too long, and none ends in a dash."""
    objects = render("monitoring", release=release) + render("cert-manager", release=release)

    for item in objects:
        limit = 253 if item["kind"] in NO_NAMESPACE else 63
        assert len(item["metadata"]["name"]) <= limit
        assert not item["metadata"]["name"].endswith("-")


def test_without_rbac_nothing_is_granted() -> None:
    """The platform team grants the permissions; everything else is rendered."""
    kinds = {item["kind"] for item in render("default", rbac__create=False)}

    assert not {kind for kind in kinds if "Role" in kind}
    assert {*WEBHOOK, *POLICY, "Secret"} <= kinds


def test_the_namespace_can_be_another_one() -> None:
    """Every object, and all that refers to it, is in `namespaceOverride`, as if the release were there."""
    for ci in CI:
        moved = render(ci, namespaceOverride="elsewhere")
        assert moved == render(ci, "--namespace", "elsewhere"), ci


def test_extra_objects_may_be_templates() -> None:
    """A mapping and a text are rendered, with the release's names."""
    given = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "{{ .Release.Name }}-a"}}
    text = "apiVersion: v1\nkind: Service\nmetadata: { name: '{{ include \"keeper-injector.fullname\" . }}-b' }"
    objects = render("default", extraObjects=[given, text])

    assert {f"{NAME}-a", f"{NAME}-b"} <= {item["metadata"]["name"] for item in objects if item["kind"] == "Service"}
