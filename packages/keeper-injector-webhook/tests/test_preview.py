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
    ],
    ids=["no YAML", "no pod", "no workload"],
)
def test_mistakes_are_sentences(text: str, message: str) -> None:
    """No traceback for what is in a file."""
    if "spec" in text:
        text += 'metadata: {annotations: {keeper.security/inject: "true", keeper.security/secret: db}}\n'
    found = preview("-", text=text)
    assert message in found.errors
    assert "Traceback" not in found.errors


def test_settings_that_are_wrong(tmp_path: Path) -> None:
    """The webhook would not start with them either."""
    (tmp_path / "settings.yaml").write_text("agentImagee: x\n", encoding="utf-8")
    found = preview("--settings", str(tmp_path / "settings.yaml"), "-", text="kind: Pod\n")
    assert (found.code, "did you mean" in found.errors) == (2, True)
