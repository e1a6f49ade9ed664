"""What commands read: manifests and annotation defaults."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import run
from sample_inputs import POD


def test_unreadable_files_are_reported(tmp_path: Path) -> None:
    """A file that cannot be read is reported on standard error, with exit code 2 and without a traceback."""
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe4\n")
    found = run("lint", str(tmp_path / "none.yaml"), str(tmp_path / "latin.yaml"))
    assert (found.code, found.output) == (2, "")
    assert "none.yaml: no such file or directory; name a file that can be read" in found.errors
    assert "latin.yaml: byte 4 is not UTF-8; write the file as UTF-8" in found.errors
    assert "Traceback" not in found.errors


@pytest.mark.parametrize("command", ["lint", "explain"])
@pytest.mark.parametrize("text", ["", "kind: ConfigMap\n", "5\n", "[1, 2]\n", "---\n---\n"])
def test_input_without_workloads_is_reported(command: str, text: str) -> None:
    """A message says that no workloads were found; the exit code is 0, because a chart may have nothing to inject."""
    found = run(command, "-", text=text)
    assert (found.code, found.output) == (0, "")
    assert "no workloads found" in found.errors


@pytest.mark.parametrize("command", ["lint", "explain"])
def test_an_empty_directory_is_reported(command: str, tmp_path: Path) -> None:
    """A directory without manifests is reported, because it may be the wrong one."""
    found = run(command, str(tmp_path))
    assert (found.code, "no workloads found" in found.errors) == (0, True)


def test_chart_templates_are_skipped(tmp_path: Path) -> None:
    """Templates that only Helm can read are skipped, and a message says how to check them."""
    (tmp_path / "chart/templates").mkdir(parents=True)
    (tmp_path / "chart/Chart.yaml").write_text("name: shop\n", encoding="utf-8")
    (tmp_path / "chart/templates/pod.yaml").write_text("{{- if .Values.on }}\n", encoding="utf-8")
    found = run("lint", str(tmp_path))
    assert (found.code, found.output) == (0, "")
    assert f"helm template {tmp_path / 'chart'} | keeper-injector lint -" in found.errors


@pytest.mark.parametrize("command", ["explain", "lint"])
def test_invalid_defaults_are_an_error(tmp_path: Path, command: str) -> None:
    """All problems of the defaults are reported, and no manifest is checked with only some of them."""
    values = tmp_path / "values.yaml"
    values.write_text("defaults: {refresh-interval: 1x, secret: db}\n", encoding="utf-8")
    found = run(command, "--defaults", str(values), "-", text=POD)
    assert (found.code, found.output) == (2, "")
    assert "defaults.refresh-interval: '1x' is not a duration" in found.errors
    assert "defaults.secret: this annotation cannot have a default" in found.errors


@pytest.mark.parametrize("text", ["- a", "x"])
def test_values_that_are_not_a_mapping_are_an_error(tmp_path: Path, text: str) -> None:
    """A values file that is a list or a text is reported."""
    values = tmp_path / "values.yaml"
    values.write_text(text, encoding="utf-8")
    found = run("lint", "--defaults", str(values), "-", text=POD)
    assert (found.code, "not a mapping; write defaults:" in found.errors) == (2, True)


@pytest.mark.parametrize("command", ["explain", "lint"])
def test_the_policy_of_a_chart_applies(tmp_path: Path, command: str) -> None:
    """The policy in a values file leads to the same problems as in the webhook, at the position of the annotation."""
    values = tmp_path / "values.yaml"
    values.write_text("policy: {forbidden: [env], locked: [file-mode], contact: Ask Ann.}\n", encoding="utf-8")
    found = run(command, "--defaults", str(values), "-", text=POD)
    assert found.code == 1
    assert "policy.forbidden does not allow environment variables; remove it (Ask Ann.)" in found.output
    assert "keeper.security/config: secrets[0].mode: policy.locked does not allow pods to set file-mode" in found.output


def test_explain_describes_the_policy(tmp_path: Path) -> None:
    """The rules of the policy are listed for a workload that keeps them."""
    values = tmp_path / "values.yaml"
    rules = "locked: [agent-image], forbidden: [kubernetes-secret], minRefreshInterval: 1m, maxVolumeSize: 16Mi"
    values.write_text(f"policy: {{{rules}, maxSecrets: 5, contact: Ask Ann.}}\n", encoding="utf-8")
    found = run("explain", "--defaults", str(values), "-", text=POD)
    assert found.code == 0
    for line in (
        "pods may not set agent-image",
        "pods may not use Kubernetes Secrets",
        "refresh-interval is at least 60s",
        "volume-size is at most 16Mi",
        "a pod may ask for at most 5 records and folders",
        "Ask Ann.",
    ):
        assert line in found.output
