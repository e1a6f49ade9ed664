"""The chart's linters find what they are for, with schemas that are made from the API's own documents."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

import linters.__main__ as program
from cluster.errors import ClusterError
from linters import alerts, checkov_report, panels, programs, schemas

ROOT = Path(__file__).parents[3]
CHART = ROOT / "charts/keeper-injector"
OPENAPI = {
    "definitions": {
        "core.Pod": {
            "description": "A pod",
            "x-kubernetes-group-version-kind": [{"group": "", "version": "v1", "kind": "Pod"}],
            "properties": {"apiVersion": {"type": "string"}, "spec": {"$ref": "#/definitions/core.Spec"}},
        },
        "core.Spec": {
            "required": ["containers"],
            "properties": {"containers": {"type": "array", "items": {"$ref": "#/definitions/core.Container"}}},
        },
        "core.Container": {
            "properties": {
                "default": {"type": "string", "description": "a property with the name of a keyword"},
                "port": {"type": "string", "format": "int-or-string"},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            }
        },
        "apps.Other": {"x-kubernetes-group-version-kind": [{"group": "apps", "version": "v1", "kind": "Other"}]},
    }
}


def test_a_schema_is_strict_and_complete() -> None:
    """It rejects unknown properties, keeps what a property is called, and has what it refers to and nothing else."""
    made = dict(schemas.of_openapi(OPENAPI))

    assert sorted(made) == ["apps/other_v1.json", "v1/pod_v1.json"]
    pod = made["v1/pod_v1.json"]
    assert pod["properties"]["kind"] == {"const": "Pod"}
    assert pod["properties"]["apiVersion"] == {"const": "v1"}
    assert pod["additionalProperties"] is False
    assert set(pod["definitions"]) == {"core.Spec", "core.Container"}
    container = pod["definitions"]["core.Container"]
    assert container["properties"]["default"] == {"type": "string"}
    assert container["properties"]["port"] == {"type": ["string", "integer"]}
    assert container["properties"]["labels"]["additionalProperties"] == {"type": "string"}


def test_a_custom_resource_keeps_what_it_leaves_open() -> None:
    """A definition may accept unknown properties in one place."""
    open_part = {
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": True,
        "properties": {"a": {"type": "string"}},
    }
    whole = {"type": "object", "properties": {"metadata": {"type": "object"}, "spec": open_part}}
    spec = {
        "group": "x.example",
        "names": {"kind": "Thing"},
        "versions": [{"name": "v1", "schema": {"openAPIV3Schema": whole}}],
    }

    [(name, schema)] = schemas.of_crd({"spec": spec})

    assert name == "x.example/thing_v1.json"
    assert schema["additionalProperties"] is False
    assert "additionalProperties" not in schema["properties"]["spec"]


def _rules(*names: str) -> list[dict[str, Any]]:
    return [{"name": "g", "rules": [{"alert": name} for name in names]}]


def test_each_alert_needs_both_tests() -> None:
    """An alert that only fires in tests may always fire, and one that never does may be broken."""
    tests = [
        {"alertname": "Both", "exp_alerts": [{}]},
        {"alertname": "Both"},
        {"alertname": "Fires", "exp_alerts": [{}]},
        {"alertname": "Silent", "exp_alerts": []},
        {"alertname": "Gone"},
    ]

    assert list(alerts.untested(_rules("Both", "Fires", "Silent"), {"tests": [{"alert_rule_test": tests}]})) == [
        "alert Silent: no test has it firing",
        "alert Fires: no test has it silent",
        "alert Gone: tested, but the chart does not have it",
    ]


def test_the_charts_alerts_are_tested() -> None:
    """Without promtool too, so that a new alert is not forgotten."""
    groups = yaml.safe_load((CHART / "monitoring/alerts.yaml").read_text(encoding="utf-8"))["groups"]

    assert (
        list(alerts.untested(groups, yaml.safe_load((CHART / "tests/alerts.test.yaml").read_text(encoding="utf-8"))))
        == []
    )


@pytest.mark.parametrize(("environment", "code"), [("true", 1), ("", 0)])
def test_a_linter_that_cannot_run_fails_only_on_ci(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], environment: str, code: int
) -> None:
    """It is reported everywhere."""
    monkeypatch.setenv("CI", environment)

    def unavailable(_: object) -> Any:
        raise ClusterError("go: not found on PATH")
        yield

    assert program._linted("kubeconform", unavailable, []) == code
    assert capsys.readouterr().err == "kubeconform: not run: go: not found on PATH\n"


def test_problems_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """Each is on a line with the linter's name."""
    assert program._linted("kube-score", lambda _: iter(["a", "b"]), []) == 1
    assert capsys.readouterr() == ("kube-score: 2 problems\n", "kube-score: a\nkube-score: b\n")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("  replicas: 2", "  replicsa: 2", "replicsa"),
        ("  replicas: 2", "  replicas: two", "got string, want integer"),
        ("kind: ServiceMonitor", "kind: ServiceMonitors", "could not find schema"),
        ("failurePolicy: Fail", "failurePolicy: [Fail]", "got array, want string"),
    ],
)
def test_kubeconform_finds_a_wrong_object(tmp_path: Path, old: str, new: str, said: str) -> None:
    """A misspelled field, a wrong type and a kind that does not exist."""
    if not schemas.kept_folder().exists():
        pytest.skip("the linters are not built; run ./tools/run lint")
    [path] = [path for path in program.render(tmp_path) if path.name == "monitoring-values.yaml"]
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")

    assert said in "\n".join(program.kubeconform([path]))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"legendFormat"', '"legendFromat"', "panels[1].targets[0].Dataquery: unexpected field 'legendFromat'"),
        ('"expr"', '"exp"', "panels[1].targets[0].expr: required field is missing from input"),
        ('"unit": "reqps"', '"unit": 5', "panels[1].fieldConfig: json: cannot unmarshal number"),
        ('"type": "timeseries"', '"type": "timeserie"', "panels[1].type: 'timeserie' is not a panel of Grafana"),
        ('"w": 8', '"w": 30', "panels[1].Panel.gridPos.w: must be <= 24"),
        ('"templating"', '"templates"', "templating: required field is missing from input"),
    ],
)
def test_grafanas_schema_finds_a_wrong_dashboard(tmp_path: Path, old: str, new: str, said: str) -> None:
    """A misspelled field, a missing one, a wrong type, a panel that does not exist, and a value outside its range."""
    if not programs.kept_from_go().exists():
        pytest.skip("the linters are not built; run ./tools/run lint")
    dashboard = CHART / "monitoring/dashboard.json"
    assert list(program.judged_dashboard(dashboard)) == []
    text = dashboard.read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "dashboard.json"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")

    assert said in "\n".join(program.judged_dashboard(path))


@pytest.mark.parametrize("there", [("prometheus", "promtool"), ("promtool",), ()])
def test_prometheus_is_taken_from_path_if_both_programs_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: tuple[str, ...]
) -> None:
    """One of the two alone could be of another version than the one that is downloaded."""
    for name in there:
        (tmp_path / name).write_text("#!/bin/sh\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    assert programs.kept_prometheus() == (tmp_path if len(there) == 2 else None)


def _finding(check: str, resource: str) -> dict[str, Any]:
    return {"check_id": check, "check_name": "a name", "resource": resource, "file_path": "/tmp/x/default-values.yaml"}


ACCEPTED = [
    _finding(check, pattern.replace(r"\.", ".n.", 1).replace(".*", "a")) for check, pattern in checkov_report.ACCEPTED
]
"""One finding for each that is accepted, for an object `a` in namespace `n`."""


@pytest.mark.parametrize(
    ("check", "resource"),
    [
        ("CKV_K8S_8", "Deployment.keeper.keeper-injector"),  # accepted for other objects only
        ("CKV_K8S_38", "Pod.keeper.keeper-injector-test"),
        ("CKV_K8S_155", "Role.keeper.keeper-injector"),
        ("CKV_K8S_16", "Deployment.keeper.keeper-injector"),  # accepted for no object
    ],
)
def test_a_finding_is_accepted_only_where_it_has_a_reason(check: str, resource: str) -> None:
    """The same check is a problem for another object."""
    assert list(checkov_report.judged([*ACCEPTED, _finding(check, resource)])) == [
        f"default-values.yaml: {resource}: {check} a name"
    ]


def test_what_is_accepted_in_vain_is_reported() -> None:
    """A reason without a finding is out of date."""
    assert list(checkov_report.judged(ACCEPTED)) == []
    first, *others = ACCEPTED

    [said] = checkov_report.judged(others)

    assert said.startswith(f"{first['check_id']} is accepted for ")


UNSAFE = [
    ("readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "CKV_K8S_22"),
    ("runAsUser: 65532", "runAsUser: 100", "CKV_K8S_40"),
    ("allowPrivilegeEscalation: false", "privileged: true", "CKV_K8S_16"),
]
"""A file system that can be written, a user that the node may have, a privileged container: what checkov calls them."""


def test_checkov_finds_an_unsafe_pod(tmp_path: Path) -> None:
    """Each change is a finding."""
    if not programs.kept_checkov().exists():
        pytest.skip("checkov is not installed; run ./tools/run lint")
    [path] = [path for path in program.render(tmp_path) if path.name == "default-values.yaml"]
    text = path.read_text(encoding="utf-8")
    for old, new, _ in UNSAFE:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")

    found = "\n".join(program.checkov([path]))
    assert [check for _, _, check in UNSAFE if f": {check} " not in found] == []


def _dashboard(**changes: Any) -> dict[str, Any]:
    """Return a dashboard without a problem and with one panel, changed in the panel or in its query."""
    panel = {"title": "Reviews", "type": "timeseries", "fieldConfig": {"defaults": {"unit": "reqps"}}}
    target = {"refId": "A", "expr": 'sum(rate(reviews_total{namespace="$namespace"}[$__rate_interval]))'}
    target |= {key: value for key, value in changes.items() if key == "expr"}
    panel |= {"targets": [target]} | {key: value for key, value in changes.items() if key not in ("expr", "editable")}
    variable = {"name": "namespace", "type": "query", "query": 'label_values(up{job=~"$job"}, namespace)'}
    return {
        "editable": changes.get("editable", False),
        "panels": [panel],
        "templating": {"list": [variable, {"name": "datasource", "type": "datasource"}]},
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, []),
        (
            {"editable": True},
            ["editable: not false, but an edit of a provisioned dashboard is lost when Grafana reloads it"],
        ),
        ({"fieldConfig": {}}, ["Reviews: no unit"]),
        ({"targets": [{"refId": "A", "expr": "up"}] * 2}, ["Reviews: two queries have the same refId"]),
        ({"expr": "sum(reviews_total)"}, ["Reviews: sum(reviews_total is a counter; use rate or increase"]),
        ({"expr": "reviews_total > 1"}, ["Reviews: reviews_total is a counter; use rate or increase"]),
        ({"expr": "rate(reviews_total[5m])"}, ["Reviews: rate has a fixed range; use $__rate_interval"]),
    ],
    ids=str,
)
def test_a_panel_follows_grafanas_rules(change: dict[str, Any], said: list[str]) -> None:
    """Each rule names the panel."""
    assert list(panels.broken_rules(_dashboard(**change))) == said


def test_the_charts_dashboard_follows_the_rules() -> None:
    """Without Go too."""
    text = (CHART / "monitoring/dashboard.json").read_text(encoding="utf-8")

    assert list(panels.broken_rules(json.loads(text))) == []
