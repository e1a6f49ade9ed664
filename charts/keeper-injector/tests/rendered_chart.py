"""Helpers for tests of the chart: render it with helm and read the objects."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import programs

ROOT = Path(__file__).parents[3]
CHART = ROOT / "charts/keeper-injector"
CI = {path.name.removesuffix("-values.yaml"): path for path in sorted(CHART.glob("ci/*-values.yaml"))}
CI["production"] = CHART / "values-production.yaml"
VERSIONS = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
NAMESPACE = "keeper"
NAME = "keeper-injector"
SELECTED = {
    "app.kubernetes.io/name": "keeper-injector",
    "app.kubernetes.io/instance": NAME,
    "app.kubernetes.io/component": "webhook",
}
"""The selector of a Deployment is immutable, so these labels must be the same in every later version."""
POLICY = ["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"]

Json = dict[str, Any]

HELM = programs.kept_helm()
needs_helm = pytest.mark.skipif(HELM is None, reason="helm is not installed")
for_each_ci = pytest.mark.parametrize("ci", CI)


def helm(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run helm without checking its exit code."""
    return subprocess.run([str(HELM), *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)


def render(ci: str, *more: str | Path, chart: Path = CHART, release: str = NAME, **values: Any) -> list[Json]:
    """Return the chart's objects with the values of ci/*CI*-values.yaml and *values*, whose names have ``__`` for dots."""
    settings = [
        word for name, value in values.items() for word in ("--set-json", f"{dotted(name)}={json.dumps(value)}")
    ]
    base = ("template", release, chart, "--skip-tests", "--namespace", NAMESPACE, "--values", CI[ci])
    done = helm(*base, *settings, *more)
    assert done.returncode == 0, done.stderr
    return [item for item in yaml.safe_load_all(done.stdout) if item]


def dotted(name: str) -> str:
    return name.replace("__", ".")


COMPONENT = "app.kubernetes.io/component"


def component_of(item: Json) -> str:
    """Return the component that an object belongs to; the pod of ``helm test`` tests the webhook."""
    return "relay" if item["metadata"]["labels"][COMPONENT] == "relay" else "webhook"


def one(objects: list[Json], kind: str, component: str = "webhook") -> Json:
    """Return the only object of *kind* of a *component*."""
    (found,) = [item for item in objects if item["kind"] == kind and component_of(item) == component]
    return found


def pod_of(objects: list[Json], component: str = "webhook") -> Json:
    """Return the template of the pods of a *component*."""
    template: Json = one(objects, "Deployment", component)["spec"]["template"]
    return template


def rights(objects: list[Json]) -> list[str]:
    """Return every permission that *objects* grant, one per line: who, verbs, resource, object."""
    roles = {(item["kind"], item["metadata"]["name"], where(item)): item for item in objects if "Role" in item["kind"]}
    lines = []
    for (kind, _, namespace), binding in roles.items():
        if not kind.endswith("Binding"):
            continue
        role = roles[binding["roleRef"]["kind"], binding["roleRef"]["name"], namespace]
        for subject in binding["subjects"]:
            lines += [f"{who(subject)}: {line}" for rule in role["rules"] for line in what(rule, namespace)]
    bound = {(item["roleRef"]["kind"], item["roleRef"]["name"]) for item in objects if "roleRef" in item}
    assert bound == {(kind, name) for kind, name, _ in roles if not kind.endswith("Binding")}
    return sorted(lines)


def where(item: Json) -> str:
    return str(item["metadata"].get("namespace", ""))


def who(subject: Json) -> str:
    name = f"{subject.get('namespace', '')}/{subject['name']}"
    return name if subject["kind"] == "ServiceAccount" else f"{subject['kind']} {subject['name']}"


def what(rule: Json, namespace: str) -> list[str]:
    assert set(rule) <= {"apiGroups", "resources", "resourceNames", "verbs"}
    (group,), (resource,) = rule["apiGroups"], rule["resources"]
    what = f"{', '.join(rule['verbs'])} {f'{resource}.{group}'.rstrip('.')}"
    return [f"{what} {f'{namespace}/{name}'.lstrip('/')}" for name in rule.get("resourceNames", ["*"])]
