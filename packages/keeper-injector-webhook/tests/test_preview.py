"""``keeper-injector preview``: shows what the webhook would do."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import jsonpatch
import pytest
from command_line import COMMAND, Result, run
from kubernetes.client import V1Pod

MANIFESTS = Path(__file__).parent / "data/manifests"
CHART = Path(__file__).parents[3] / "charts/keeper-injector"
ASKING = 'metadata: {name: a, annotations: {keeper.security/inject: "true", keeper.security/secret: db}}\n'


BOMB = "".join(f", a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}]" for n in range(1, 30))
"""YAML aliases that expand to more values than fit in memory."""


def preview(*arguments: str, text: str = "") -> Result:
    """Run ``keeper-injector preview``."""
    return run("preview", *arguments, text=text)


def test_every_kind_of_workload() -> None:
    """Every object that creates pods is previewed, in the order of the documents; a Service creates none."""
    found = preview(str(MANIFESTS / "workloads.yaml"))
    assert (found.code, found.errors) == (0, "")
    assert [line for line in found.output.splitlines() if line[:1] not in {" ", "+", "-", "@"}] == [
        "Deployment/shop: injected, 5 operations",
        "StatefulSet/queue: injected, 5 operations",
        "DaemonSet/watch: skipped: the pod does not ask for injection",
        "Job/import: injected, 5 operations",
        "CronJob/nightly: injected, 5 operations",
        "Pod/single: injected, 5 operations",
    ]


def test_the_diff_shows_what_is_added() -> None:
    """The diff changes and removes nothing of the pod, and shows the plan in several lines."""
    lines = preview("--diff", str(MANIFESTS / "workloads.yaml")).output.splitlines()
    assert [line for line in lines if line.startswith("-")] == ["--- as written"] * 5
    assert "+    - name: keeper-secrets-0" in lines
    assert '+        "refreshInterval": 300.0,' in lines


def test_standard_input_and_defaults(tmp_path: Path) -> None:
    """Manifests come from standard input, and annotation defaults from a settings file."""
    (tmp_path / "settings.yaml").write_text(
        "defaults: {refresh-interval: 1m}\nnamespaceDefaults: {shop: {refresh-interval: 2m}}\n", encoding="utf-8"
    )
    text = (MANIFESTS / "workloads.yaml").read_text(encoding="utf-8").split("---\n")[0]
    for namespace, interval in (("default", 60.0), ("shop", 120.0)):
        settings = str(tmp_path / "settings.yaml")
        found = preview("--plan", "--defaults", settings, "--namespace", namespace, "-", text=text)
        assert json.loads(found.output)["refreshInterval"] == interval


def test_a_rejected_pod_is_exit_code_1() -> None:
    """A rejected pod is shown with every problem, and so are the other workloads."""
    found = preview(str(MANIFESTS / "denied.yaml"))
    assert found.code == 1
    assert found.output.startswith(
        "Deployment/bad: rejected, 2 problems\n"
        "  problem: keeper.security/metrics-port: '9x' is not a number from 1024 to 65535; write one\n"
        "  problem: keeper.security/secret: 'db[' at character 4: ']' is missing; add it\n"
        "CronJob/warned: injected"
    )
    assert 'add keeper.security/init-only: "true"' in found.output


def test_json_output() -> None:
    """The JSON output has the decision, the plan, and a pod that is valid for the Kubernetes client."""
    found = json.loads(preview("-o", "json", str(MANIFESTS / "workloads.yaml"), str(MANIFESTS / "denied.yaml")).output)
    decisions = [item["decision"] for item in found["workloads"]]
    assert decisions == ["inject", "inject", "skip", "inject", "inject", "inject", "deny", "inject"]
    assert found["workloads"][6]["problems"][0]["where"] == "keeper.security/metrics-port"
    for item in found["workloads"]:
        if item["decision"] == "inject":
            V1Pod.model_validate(item["pod"])
            assert item["plan"] == json.loads(item["pod"]["metadata"]["annotations"]["keeper.security/plan"])
            assert jsonpatch.apply_patch(item["pod"], []) == item["pod"]


def test_the_patch_alone() -> None:
    """With --patch, standard output is JSON, and the summary goes to standard error."""
    text = (MANIFESTS / "workloads.yaml").read_text(encoding="utf-8").split("---\n")[0]
    found = preview("--patch", "-", text=text)
    assert {operation["op"] for operation in json.loads(found.output)} == {"add"}
    assert found.errors == "keeper-injector: Deployment/shop: injected, 5 operations\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "-:1:5: not valid YAML"),
        (
            "kind: Pod\nspec: {containers: 5}\n",
            "containers is not a list of objects; an API server would not accept it",
        ),
        ("kind: Service\n", "no workloads found"),
        (
            "kind: Pod\nmetadata: [1]\n",
            "-:1:1: Pod/(no name): metadata is not an object; an API server would not accept it",
        ),
        ("kind: Deployment\nmetadata: oops\nspec: {template: {spec: {}}}\n", "metadata is not an object"),
        ("kind: Deployment\nspec: {template: {metadata: nope, spec: {}}}\n", "metadata is not an object"),
        ("kind: Deployment\nspec: {template: {spec: [1]}}\n", "spec is not an object"),
        ("kind: Pod\nspec: {a: !!timestamp 2026-01-01}\n", "spec.a is not a string, number, list or mapping; write it"),
        (
            "kind: Pod\nspec: &it {containers: [], a: [*it]}\n",
            "spec.a.0 contains itself through an alias; write the value out",
        ),
        ("kind: Pod\nspec: {a0: &a0 [1, 1]" + BOMB + "}\n", "values through aliases; reduce them"),
    ],
    ids=["no YAML", "no pod", "no workload", "metadata", "workload", "template", "spec", "date", "itself", "bomb"],
)
@pytest.mark.parametrize("output", ["text", "json"])
def test_invalid_manifests_are_reported(text: str, message: str, output: str) -> None:
    """An invalid manifest is reported without a traceback, in every output format."""
    if "containers: 5" in text:
        text += ASKING
    found = preview("-o", output, "-", text=text)
    assert message in found.errors
    assert found.code == (0 if "Service" in text else 2)
    assert "Traceback" not in found.errors


def test_dates_are_strings() -> None:
    """A date without quotes is a string, as Kubernetes reads it."""
    text = f"kind: Pod\n{ASKING}spec: {{containers: [{{name: a, env: [{{name: A, value: 2026-01-01}}]}}]}}\n"
    (found,) = json.loads(preview("-o", "json", "-", text=text).output)["workloads"]
    (container,) = found["pod"]["spec"]["containers"]
    assert container["env"] == [{"name": "A", "value": "2026-01-01"}]


def test_values_without_quotes_are_reported_as_by_lint() -> None:
    """An annotation that is not a string is a problem, because an API server rejects it."""
    text = "kind: Pod\nmetadata: {name: a, annotations: {keeper.security/inject: true, keeper.security/secret: db}}\n"
    found = preview("-", text=text)
    assert (found.code, found.output) == (
        1,
        'Pod/a: rejected, 1 problem\n  problem: keeper.security/inject: true is a boolean, not a string; write "true" in quotes\n',
    )


def test_a_closed_pipe_ends_the_command() -> None:
    """The command ends without an error when its standard output is closed."""
    text = "---\n".join([f"kind: Pod\n{ASKING}spec: {{containers: [{{name: a}}]}}\n"] * 100)
    command = [*COMMAND, "preview", "-"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout is not None
    child.stdout.close()
    _, errors = child.communicate(text, timeout=60)
    assert (child.returncode, errors) == (141, "")


def test_defaults_come_from_chart_values(tmp_path: Path) -> None:
    """Defaults in chart values override those in the settings, and other chart values are ignored."""
    text = (MANIFESTS / "workloads.yaml").read_text(encoding="utf-8").split("---\n")[0]
    found = preview("--defaults", str(CHART / "values.yaml"), "-", text=text)
    assert (found.code, found.errors) == (0, "")
    (tmp_path / "settings.yaml").write_text("defaults: {refresh-interval: 1m}\n", encoding="utf-8")
    (tmp_path / "values.yaml").write_text("replicas: 3\ndefaults: {refresh-interval: 2m}\n", encoding="utf-8")
    files = ("--settings", str(tmp_path / "settings.yaml"), "--defaults", str(tmp_path / "values.yaml"))
    assert json.loads(preview("--plan", *files, "-", text=text).output)["refreshInterval"] == 120.0


def test_invalid_settings_are_an_error(tmp_path: Path) -> None:
    """Settings with which the webhook would not start are reported."""
    (tmp_path / "settings.yaml").write_text("agentImagee: x\n", encoding="utf-8")
    found = preview("--settings", str(tmp_path / "settings.yaml"), "-", text="kind: Pod\n")
    assert (found.code, "did you mean" in found.errors) == (2, True)
