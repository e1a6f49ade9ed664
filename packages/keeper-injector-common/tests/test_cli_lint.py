"""``keeper-injector lint``: every problem with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from command_line import MANIFESTS, run
from hypothesis import given
from hypothesis import strategies as st

from keeper_injector_common.cli.checks import RULES, Finding
from keeper_injector_common.cli.lint import findings_of
from keeper_injector_common.cli.reports import sarif


def lint(name: str, *arguments: str) -> list[str]:
    """Return the lines about one of the manifests, without its path."""
    found = run("lint", *arguments, str(MANIFESTS / name))
    return [line.removeprefix(f"{MANIFESTS / name}:") for line in found.output.splitlines()]


def test_every_problem_of_every_workload() -> None:
    """Problems are named with file, line, column, workload and annotation, in the order of the file."""
    assert lint("deployment.yaml") == [
        "26:13: error: CronJob/bad: keeper.security/secret-a: 'db[' at character 4: ']' is missing",
        "27:13: error: CronJob/bad: keeper.security/refresh-interval: '5x' is not a duration; write 30s, 5m or 1h30m",
    ]


def test_places_inside_the_yaml_annotation() -> None:
    """A problem of the document points to its line in it, also when the document is no YAML."""
    assert [line.split(": error: ")[0] for line in lint("config.yaml")] == ["17:19", "20:19", "23:19", "35:15"]
    text = (MANIFESTS / "config.yaml").read_text(encoding="utf-8")
    mended = text.replace("fromat: env", "format: env").replace("- {}", "- path: a")
    assert [(item.place.line, item.place.column, item.rule) for item in findings_of("-", mended)[:1]] == [
        (20, 19, "value")
    ]


def test_what_people_write_by_habit() -> None:
    """Annotations on the workload, as labels, without quotes, twice, without the switch, misspelt."""
    twice = "written before in the same mapping, and only the last counts; keep one"
    switch = 'nothing is injected by this alone; add keeper.security/inject: "true"'
    path = "stands where pods do not inherit it; move it to spec.template.metadata.annotations"
    assert lint("habits.yaml") == [
        f"7:5: warning: Deployment/on-the-workload: keeper.security/inject: {path}",
        f"8:5: warning: Deployment/on-the-workload: keeper.security/secret: {path}",
        f"13:9: warning: Deployment/on-the-workload: keeper.security/inject: {path}",
        '22:5: error: Pod/no-text: keeper.security/inject: a boolean found; write "true" in quotes',
        '23:5: error: Pod/no-text: keeper.security/metrics-port: a number found; write "9464" in quotes',
        "24:5: error: Pod/no-text: keeper.security/secret: nothing found; write a text in quotes, or remove the annotation",
        f"33:5: error: Pod/twice: keeper.security/secret-db: {twice}",
        f"40:5: warning: Pod/no-switch: keeper.security/secret: {switch}",
        "49:5: warning: Pod/typo: keeper.security/sekret: unknown annotation, ignored; did you mean keeper.security/secret?",
    ]


def test_what_helm_prints_names_the_charts_file() -> None:
    """Lines of a rendered chart help nobody; its files do."""
    text = (MANIFESTS / "rendered.yaml").read_text(encoding="utf-8")
    found = run("lint", "-", text=text)
    assert found.output.startswith("-:10:81: error: Deployment/shop (shop/templates/deployment.yaml): ")
    assert found.errors == "1 workload, 1 of them annotated: 1 problem, 0 warnings\n"


def test_exit_codes(tmp_path: Path) -> None:
    """0 for nothing wrong, 1 for problems; a warning fails with --strict only; directories are searched."""
    documents = (MANIFESTS / "habits.yaml").read_text(encoding="utf-8").split("---\n")
    (tmp_path / "below").mkdir()
    (tmp_path / "below/typo.yaml").write_text(documents[-1], encoding="utf-8")
    assert run("lint", str(tmp_path)).code == 0
    assert run("lint", "--strict", str(tmp_path)).code == 1
    (tmp_path / "twice.yml").write_text(documents[2], encoding="utf-8")
    assert run("lint", str(tmp_path)).code == 1


def test_templates_of_charts_are_left_out(tmp_path: Path) -> None:
    """What only Helm can read is named, not judged."""
    (tmp_path / "chart/templates").mkdir(parents=True)
    (tmp_path / "chart/Chart.yaml").write_text("name: shop\n", encoding="utf-8")
    (tmp_path / "chart/templates/pod.yaml").write_text("{{- if .Values.on }}\n", encoding="utf-8")
    found = run("lint", str(tmp_path))
    assert (found.code, found.output) == (0, "")
    assert f"helm template {tmp_path / 'chart'} | keeper-injector lint -" in found.errors


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a: [\n",
            "-:2:1: error: not valid YAML: expected the node content, but found '<stream end>'; correct it there",
        ),
        ("a: {{ x }}\n", "found unhashable key; render the chart first: helm template"),
        ("a: \x00\n", "special characters are not allowed; remove them"),
        ("a: !!timestamp 2024-13-45\n", "a date or number that does not exist; quote it"),
        ("a: " + "[" * 5000, "nested too deeply to be a manifest; flatten it"),
    ],
    ids=["syntax", "helm", "characters", "date", "depth"],
)
def test_what_is_no_yaml_has_its_place(text: str, message: str) -> None:
    """A file that cannot be parsed is a problem like others, and not the end of the run."""
    found = run("lint", "-", str(MANIFESTS / "deployment.yaml"), text=text)
    assert found.code == 1
    assert message in found.output
    assert "CronJob/bad" in found.output


def test_json_for_programs() -> None:
    """Everything that the text says, in fields, the fix apart."""
    found = json.loads(run("lint", "-o", "json", str(MANIFESTS / "deployment.yaml")).output)
    assert found["findings"][1] == {
        "file": str(MANIFESTS / "deployment.yaml"),
        "line": 27,
        "column": 13,
        "level": "error",
        "rule": "value",
        "workload": "CronJob/bad",
        "annotation": "keeper.security/refresh-interval",
        "message": "'5x' is not a duration; write 30s, 5m or 1h30m",
        "fix": "write 30s, 5m or 1h30m",
    }


@pytest.mark.parametrize("form", ["json", "github", "sarif"])
def test_an_unreadable_file_is_a_finding_for_programs(form: str, tmp_path: Path) -> None:
    """They see no standard error, and an empty list of findings would say that all is well."""
    found = run("lint", "-o", form, str(tmp_path / "none.yaml"), str(MANIFESTS / "rendered.yaml"))
    assert (found.code, "no such file or directory; name a file that can be read" in found.output) == (2, True)
    assert "Deployment/shop" in found.output


POD = 'metadata: {name: a, annotations: {keeper.security/inject: "true", keeper.security/secret: "db["}}'


@pytest.mark.parametrize(("kind", "count"), [("PodList", 2), ("List", 0), ("DeploymentList", 0)])
def test_items_without_a_kind_are_of_their_lists(kind: str, count: int) -> None:
    """As `kubectl get --raw` prints them."""
    text = f"kind: {kind}\nitems:\n- {{{POD}}}\n- {{{POD}, spec: {{}}}}\n"
    assert run("lint", "-", text=text).output.count("error: Pod/a: keeper.security/secret: ") == count


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("kind: PodTemplate\n%s\ntemplate: {spec: {}}\n", "template"),
        ("kind: Deployment\n%s\nspec: {template: {spec: {}}}\n", "spec.template"),
        ("kind: CronJob\n%s\nspec: {jobTemplate: {spec: {template: {spec: {}}}}}\n", "spec.jobTemplate.spec.template"),
    ],
)
def test_where_annotations_belong(text: str, place: str) -> None:
    """The place that is named is the one that is read."""
    found = run("lint", "-", text=text % POD).output
    assert found.count(f"move it to {place}.metadata.annotations\n") == 2


def test_github_commands_are_escaped() -> None:
    """Neither a percent sign nor a line break nor a comma ends a workflow command early."""
    text = 'kind: Pod\nmetadata: {annotations: {keeper.security/inject: "%\\n::x"}}\nspec: {}\n'
    (line,) = run("lint", "-o", "github", "-", text=text).output.splitlines()
    assert line.startswith("::error file=-,line=2,col=")
    assert "'%25\\n::x' is neither true nor false" in line


SARIF: dict[str, Any] = {
    "type": "object",
    "required": ["version", "runs"],
    "additionalProperties": False,
    "properties": {
        "$schema": {"type": "string", "format": "uri"},
        "version": {"const": "2.1.0"},
        "runs": {"type": "array", "items": {"$ref": "#/$defs/run"}},
    },
    "$defs": {
        "message": {"type": "object", "required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}}},
        "run": {
            "type": "object",
            "required": ["tool", "results"],
            "additionalProperties": False,
            "properties": {
                "tool": {
                    "required": ["driver"],
                    "properties": {
                        "driver": {
                            "required": ["name", "rules"],
                            "properties": {
                                "name": {"type": "string"},
                                "version": {"type": "string"},
                                "rules": {
                                    "type": "array",
                                    "uniqueItems": True,
                                    "items": {
                                        "required": ["id"],
                                        "properties": {
                                            "shortDescription": {"$ref": "#/$defs/message"},
                                            "defaultConfiguration": {
                                                "properties": {"level": {"enum": ["none", "note", "warning", "error"]}}
                                            },
                                        },
                                    },
                                },
                            },
                        }
                    },
                },
                "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                "results": {"type": "array", "items": {"$ref": "#/$defs/result"}},
            },
        },
        "result": {
            "type": "object",
            "required": ["message", "ruleId", "locations"],
            "additionalProperties": False,
            "properties": {
                "ruleId": {"type": "string"},
                "ruleIndex": {"type": "integer", "minimum": -1},
                "level": {"enum": ["none", "note", "warning", "error"]},
                "message": {"$ref": "#/$defs/message"},
                "locations": {
                    "type": "array",
                    "items": {
                        "required": ["physicalLocation"],
                        "properties": {
                            "physicalLocation": {
                                "required": ["artifactLocation", "region"],
                                "properties": {
                                    "artifactLocation": {
                                        "required": ["uri"],
                                        "properties": {"uri": {"type": "string", "pattern": r"^[\w%./~-]+$"}},
                                    },
                                    "region": {
                                        "required": ["startLine"],
                                        "properties": {
                                            "startLine": {"type": "integer", "minimum": 1},
                                            "startColumn": {"type": "integer", "minimum": 1},
                                        },
                                    },
                                },
                            }
                        },
                    },
                },
            },
        },
    },
}
"""What SARIF 2.1.0 (OASIS standard, sections 3.13 to 3.30) asks of the parts that are written here."""


def test_sarif_is_valid() -> None:
    """Code scanning gets what the standard asks for, each result with a rule that is described."""
    log = json.loads(run("lint", "-o", "sarif", str(MANIFESTS)).output)
    jsonschema.validate(log, SARIF)
    (found,) = log["runs"]
    rules = found["tool"]["driver"]["rules"]
    assert len(found["results"]) > 10
    assert all(rules[item["ruleIndex"]]["id"] == item["ruleId"] for item in found["results"])


@given(st.text(min_size=1), st.text(min_size=1), st.sampled_from(sorted(RULES)))
def test_any_finding_is_valid_sarif(file: str, message: str, rule: str) -> None:
    """Whatever a file is called and a message says."""
    jsonschema.validate(json.loads(sarif([Finding(file, _place(), rule, message)])), SARIF)


def _place() -> Any:
    from keeper_injector_common.cli.manifests import Place

    return Place(3, 4)


@given(st.text(alphabet='abc:-{}[]"\n &*!|>#.,?%@0', max_size=60))
def test_any_text_is_judged(text: str) -> None:
    """Nothing that stands in a file raises anything."""
    assert isinstance(
        findings_of("-", "kind: Pod\nmetadata:\n  annotations:\n    keeper.security/inject: " + text), list
    )
