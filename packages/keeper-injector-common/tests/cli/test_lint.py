"""``keeper-injector lint``: reports every problem with its position."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from command_line import MANIFESTS, run
from hypothesis import given
from hypothesis import strategies as st
from sample_inputs import POD as SAMPLE_POD

from keeper_injector_common.cli.checks import RULES, Finding
from keeper_injector_common.cli.lint import lint_text
from keeper_injector_common.cli.manifests import Position
from keeper_injector_common.cli.reports import FORMATS


def lint(name: str, *arguments: str) -> list[str]:
    """Return the findings in one of the manifests, without its path."""
    found = run("lint", *arguments, str(MANIFESTS / name))
    return [line.removeprefix(f"{MANIFESTS / name}:") for line in found.output.splitlines()]


def test_every_problem_of_every_workload() -> None:
    """A problem is reported with file, line, column, workload and annotation, in the order of the file."""
    assert lint("deployment.yaml") == [
        "26:13: error: CronJob/bad: keeper.security/secret-a: 'db[' at character 4: ']' is missing; add it",
        "27:13: error: CronJob/bad: keeper.security/refresh-interval: '5x' is not a duration; write 30s, 5m or 1h30m",
    ]


def test_positions_inside_the_config_annotation() -> None:
    """A problem inside the YAML document has the position of its line, even if the document is not valid YAML."""
    assert [line.split(": error: ")[0] for line in lint("config.yaml")] == ["17:19", "20:19", "23:19", "35:15"]
    text = (MANIFESTS / "config.yaml").read_text(encoding="utf-8")
    mended = text.replace("fromat: env", "format: env").replace("- {}", "- path: a")
    first = lint_text("-", mended).findings[0]
    assert (first.position.line, first.position.column, first.rule) == (20, 19, "invalid-value")


def test_common_mistakes() -> None:
    """Common mistakes are reported: annotations on the workload, as labels, without quotes, twice, misspelt."""
    twice = "the same mapping has this key twice, and only the last one is used; keep one"
    switch = 'no effect without the annotation inject; add keeper.security/inject: "true"'
    path = "pods do not inherit this; move it to spec.template.metadata.annotations"
    assert lint("habits.yaml") == [
        f"7:5: warning: Deployment/on-the-workload: keeper.security/inject: {path}",
        f"8:5: warning: Deployment/on-the-workload: keeper.security/secret: {path}",
        f"13:9: warning: Deployment/on-the-workload: keeper.security/inject: {path}",
        '22:5: error: Pod/no-text: keeper.security/inject: true is a boolean, not a string; write "true" in quotes',
        '23:5: error: Pod/no-text: keeper.security/metrics-port: 9464 is a number, not a string; write "9464" in quotes',
        "24:5: error: Pod/no-text: keeper.security/secret: the value is missing; write a string in quotes, or remove the annotation",
        f"33:5: error: Pod/twice: keeper.security/secret-db: {twice}",
        f"40:5: warning: Pod/no-switch: keeper.security/secret: {switch}",
        "49:5: warning: Pod/typo: keeper.security/sekret: unknown annotation, ignored; did you mean keeper.security/secret?",
    ]


def test_the_output_of_helm_has_the_names_of_templates() -> None:
    """A problem in a rendered chart is reported with the template that it is from."""
    text = (MANIFESTS / "rendered.yaml").read_text(encoding="utf-8")
    found = run("lint", "-", text=text)
    assert found.output.startswith("-:10:81: error: Deployment/shop (shop/templates/deployment.yaml): ")
    assert found.errors == "1 workload, 1 of them annotated: 1 problem, 0 warnings\n"


def test_exit_codes(tmp_path: Path) -> None:
    """The exit code is 1 for problems, and with --strict for warnings; directories are searched."""
    documents = (MANIFESTS / "habits.yaml").read_text(encoding="utf-8").split("---\n")
    (tmp_path / "below").mkdir()
    (tmp_path / "below/typo.yaml").write_text(documents[-1], encoding="utf-8")
    assert run("lint", str(tmp_path)).code == 0
    assert run("lint", "--strict", str(tmp_path)).code == 1
    (tmp_path / "twice.yml").write_text(documents[2], encoding="utf-8")
    assert run("lint", str(tmp_path)).code == 1


def test_chart_templates_are_skipped(tmp_path: Path) -> None:
    """Templates that only Helm can read are skipped, and a message says how to check them."""
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
def test_invalid_yaml_is_reported_with_its_position(text: str, message: str) -> None:
    """A file that cannot be parsed is a problem, and the other files are still checked."""
    found = run("lint", "-", str(MANIFESTS / "deployment.yaml"), text=text)
    assert found.code == 1
    assert message in found.output
    assert "CronJob/bad" in found.output


def test_json_for_programs() -> None:
    """The JSON report has all parts of a finding in fields, and the fix on its own."""
    found = json.loads(run("lint", "-o", "json", str(MANIFESTS / "deployment.yaml")).output)
    assert found["findings"][1] == {
        "file": str(MANIFESTS / "deployment.yaml"),
        "line": 27,
        "column": 13,
        "level": "error",
        "rule": "invalid-value",
        "workload": "CronJob/bad",
        "annotation": "keeper.security/refresh-interval",
        "message": "'5x' is not a duration; write 30s, 5m or 1h30m",
        "fix": "write 30s, 5m or 1h30m",
    }


@pytest.mark.parametrize("form", ["json", "github", "sarif"])
def test_an_unreadable_file_is_a_finding_for_programs(form: str, tmp_path: Path) -> None:
    """A report has a finding for an unreadable file, because an empty report would mean that there are no problems."""
    found = run("lint", "-o", form, str(tmp_path / "none.yaml"), str(MANIFESTS / "rendered.yaml"))
    assert (found.code, "no such file or directory; name a file that can be read" in found.output) == (2, True)
    assert "Deployment/shop" in found.output


POD = 'metadata: {name: a, annotations: {keeper.security/inject: "true", keeper.security/secret: "db["}}'


@pytest.mark.parametrize(("kind", "count"), [("PodList", 2), ("List", 0), ("DeploymentList", 0)])
def test_items_without_a_kind_have_that_of_their_list(kind: str, count: int) -> None:
    """An item of a PodList is a Pod even without ``kind``, as ``kubectl get --raw`` prints it."""
    text = f"kind: {kind}\nitems:\n- {{{POD}}}\n- {{{POD}, spec: {{}}}}\n"
    assert run("lint", "-", text=text).output.count("error: Pod/a: keeper.security/secret: ") == count


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("kind: PodTemplate\n%s\ntemplate: {spec: {}}\n", "template"),
        ("kind: Deployment\n%s\nspec: {template: {spec: {}}}\n", "spec.template"),
        ("kind: CronJob\n%s\nspec: {jobTemplate: {spec: {template: {spec: {}}}}}\n", "spec.jobTemplate.spec.template"),
    ],
)
def test_misplaced_annotations_are_reported(text: str, path: str) -> None:
    """The path that the finding suggests is the path that the webhook reads."""
    found = run("lint", "-", text=text % POD).output
    assert found.count(f"move it to {path}.metadata.annotations\n") == 2


def test_github_commands_are_escaped() -> None:
    """Percent signs, line breaks and commas are escaped in workflow commands."""
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
"""The requirements of SARIF 2.1.0 (OASIS standard, sections 3.13 to 3.30) for the parts that are written here."""


def test_sarif_is_valid() -> None:
    """The SARIF report follows the standard, and each result has a rule with a description."""
    log = json.loads(run("lint", "-o", "sarif", str(MANIFESTS)).output)
    jsonschema.validate(log, SARIF)
    (found,) = log["runs"]
    rules = found["tool"]["driver"]["rules"]
    assert len(found["results"]) > 10
    assert all(rules[item["ruleIndex"]]["id"] == item["ruleId"] for item in found["results"])


@given(st.text(min_size=1), st.text(min_size=1), st.sampled_from(sorted(RULES)))
def test_any_finding_is_valid_sarif(file: str, message: str, rule: str) -> None:
    """Any file name and message make a valid SARIF report."""
    jsonschema.validate(json.loads(FORMATS["sarif"]([Finding(file, Position(3, 4), rule, message)])), SARIF)


@given(st.text(alphabet='abc:-{}[]"\n &*!|>#.,?%@0', max_size=60))
def test_any_text_is_checked(text: str) -> None:
    """No text raises an exception."""
    head = "kind: Pod\nmetadata:\n  annotations:\n    keeper.security/inject: "
    assert isinstance(lint_text("-", head + text).findings, tuple)


def test_annotation_defaults_are_applied(tmp_path: Path) -> None:
    """A default may need another annotation, which the pod must set."""
    values = tmp_path / "values.yaml"
    values.write_text("defaults: {auth-method: gcp-secret-manager}\n", encoding="utf-8")
    found = run("lint", "--defaults", str(values), "-", text=SAMPLE_POD)
    assert "gcp-secret-manager needs keeper.security/gcp-secret-id; add it" in found.output
