"""``keeper-injector-webhook preview`` as a person or a pipeline runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import attrs
import jsonpatch
import pytest
from kubernetes.client import V1Pod

MANIFESTS = Path(__file__).parent / "data/manifests"
CHART = Path(__file__).parents[3] / "charts/keeper-injector"
ASKING = 'metadata: {name: a, annotations: {keeper.security/inject: "true", keeper.security/secret: db}}\n'


BOMB = "".join(f", a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}]" for n in range(1, 30))
"""Aliases of aliases."""


@attrs.frozen
class Result:
    """How a command ended."""

    code: int
    output: str
    errors: str


def preview(*arguments: str, text: str = "") -> Result:
    """Run the command to its end."""
    command = [sys.executable, "-m", "keeper_injector_webhook.cli", "preview", *arguments]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
    return Result(done.returncode, done.stdout, done.stderr)


def test_every_kind_of_workload() -> None:
    """Deployments, jobs and all that makes pods, of several documents, in their order; Services are none."""
    found = preview(str(MANIFESTS / "workloads.yaml"))
    assert (found.code, found.errors) == (0, "")
    assert [line for line in found.output.splitlines() if line[:1] not in {" ", "+", "-", "@"}] == [
        "Deployment/shop: injected, 5 operations",
        "StatefulSet/queue: injected, 5 operations",
        "DaemonSet/watch: left alone: the pod does not ask for injection",
        "Job/import: injected, 5 operations",
        "CronJob/nightly: injected, 5 operations",
        "Pod/single: injected, 5 operations",
    ]


def test_the_diff_shows_what_is_added() -> None:
    """Nothing of the pod's own is changed or gone; the plan can be read."""
    lines = preview("--diff", str(MANIFESTS / "workloads.yaml")).output.splitlines()
    assert [line for line in lines if line.startswith("-")] == ["--- as written"] * 5
    assert "+    - name: keeper-secrets-0" in lines
    assert '+        "refreshInterval": 300.0,' in lines


def test_standard_input_and_defaults(tmp_path: Path) -> None:
    """What helm or kustomize prints comes by a pipe; the chart's defaults are in a file."""
    (tmp_path / "settings.yaml").write_text(
        "defaults: {refresh-interval: 1m}\nnamespaceDefaults: {shop: {refresh-interval: 2m}}\n", encoding="utf-8"
    )
    text = (MANIFESTS / "workloads.yaml").read_text(encoding="utf-8").split("---\n")[0]
    for namespace, interval in (("default", 60.0), ("shop", 120.0)):
        settings = str(tmp_path / "settings.yaml")
        found = preview("--plan", "--defaults", settings, "--namespace", namespace, "-", text=text)
        assert json.loads(found.output)["refreshInterval"] == interval


def test_a_denial_is_exit_code_1() -> None:
    """With every problem; the other workloads are shown all the same."""
    found = preview(str(MANIFESTS / "denied.yaml"))
    assert found.code == 1
    assert found.output.startswith(
        "Deployment/bad: denied, 2 problems\n"
        "  problem: keeper.security/metrics-port: '9x' is not a number from 1024 to 65535; write one\n"
        "  problem: keeper.security/secret: 'db[' at character 4: ']' is missing\n"
        "CronJob/warned: injected"
    )
    assert 'add keeper.security/init-only: "true"' in found.output


def test_everything_for_programs() -> None:
    """The patch leads from the manifest's pod to the shown one, which Kubernetes' schema knows."""
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
    """Standard output is JSON; sentences go to standard error."""
    text = (MANIFESTS / "workloads.yaml").read_text(encoding="utf-8").split("---\n")[0]
    found = preview("--patch", "-", text=text)
    assert {operation["op"] for operation in json.loads(found.output)} == {"add"}
    assert found.errors == "keeper-injector: Deployment/shop: injected, 5 operations\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "-:1:5: not valid YAML"),
        ("kind: Pod\nspec: {containers: 5}\n", "containers is no list of objects; an API server would not take it"),
        ("kind: Service\n", "no workloads found"),
        ("kind: Pod\nmetadata: [1]\n", "-:1:1: Pod/(no name): metadata is no object; an API server would not take it"),
        ("kind: Deployment\nmetadata: oops\nspec: {template: {spec: {}}}\n", "metadata is no object"),
        ("kind: Deployment\nspec: {template: {metadata: nope, spec: {}}}\n", "metadata is no object"),
        ("kind: Deployment\nspec: {template: {spec: [1]}}\n", "spec is no object"),
        ("kind: Pod\nspec: {a: !!timestamp 2026-01-01}\n", "spec.a is no text, number, list or mapping; write it"),
        ("kind: Pod\nspec: &it {containers: [], a: [*it]}\n", "spec.a.0 holds itself by an alias; write the value out"),
        ("kind: Pod\nspec: {a0: &a0 [1, 1]" + BOMB + "}\n", "values by its aliases; write fewer"),
    ],
    ids=["no YAML", "no pod", "no workload", "metadata", "workload", "template", "spec", "date", "itself", "bomb"],
)
@pytest.mark.parametrize("output", ["text", "json"])
def test_mistakes_are_sentences(text: str, message: str, output: str) -> None:
    """No traceback for what is in a file, whichever way it is shown."""
    if "containers: 5" in text:
        text += ASKING
    found = preview("-o", output, "-", text=text)
    assert message in found.errors
    assert found.code == (0 if "Service" in text else 2)
    assert "Traceback" not in found.errors


def test_dates_are_text() -> None:
    """As for Kubernetes, whose reader of YAML makes no dates of them."""
    text = f"kind: Pod\n{ASKING}spec: {{containers: [{{name: a, env: [{{name: A, value: 2026-01-01}}]}}]}}\n"
    (found,) = json.loads(preview("-o", "json", "-", text=text).output)["workloads"]
    (container,) = found["pod"]["spec"]["containers"]
    assert container["env"] == [{"name": "A", "value": "2026-01-01"}]


def test_what_is_no_text_is_said_as_lint_says_it() -> None:
    """No webhook ever sees such a pod: API servers refuse it."""
    text = "kind: Pod\nmetadata: {name: a, annotations: {keeper.security/inject: true, keeper.security/secret: db}}\n"
    found = preview("-", text=text)
    assert (found.code, found.output) == (
        1,
        'Pod/a: denied, 1 problem\n  problem: keeper.security/inject: a boolean found; write "true" in quotes\n',
    )


def test_a_reader_may_leave() -> None:
    """A closed pipe ends the command quietly."""
    text = "---\n".join([f"kind: Pod\n{ASKING}spec: {{containers: [{{name: a}}]}}\n"] * 100)
    command = [sys.executable, "-m", "keeper_injector_webhook.cli", "preview", "-"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout is not None
    child.stdout.close()
    _, errors = child.communicate(text, timeout=60)
    assert (child.returncode, errors) == (141, "")


def test_defaults_of_the_charts_values(tmp_path: Path) -> None:
    """All else in them is the chart's; settings are read whole, and the defaults go before theirs."""
    text = (MANIFESTS / "workloads.yaml").read_text(encoding="utf-8").split("---\n")[0]
    found = preview("--defaults", str(CHART / "values.yaml"), "-", text=text)
    assert (found.code, found.errors) == (0, "")
    (tmp_path / "settings.yaml").write_text("defaults: {refresh-interval: 1m}\n", encoding="utf-8")
    (tmp_path / "values.yaml").write_text("replicas: 3\ndefaults: {refresh-interval: 2m}\n", encoding="utf-8")
    files = ("--settings", str(tmp_path / "settings.yaml"), "--defaults", str(tmp_path / "values.yaml"))
    assert json.loads(preview("--plan", *files, "-", text=text).output)["refreshInterval"] == 120.0


def test_settings_that_are_wrong(tmp_path: Path) -> None:
    """The webhook would not start with them either."""
    (tmp_path / "settings.yaml").write_text("agentImagee: x\n", encoding="utf-8")
    found = preview("--settings", str(tmp_path / "settings.yaml"), "-", text="kind: Pod\n")
    assert (found.code, "did you mean" in found.errors) == (2, True)
