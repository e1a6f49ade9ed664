"""``keeper-injector`` as a pipeline runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

MANIFESTS = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: good}
spec: {template: {metadata: {annotations: {keeper.security/inject: "true", keeper.security/secret: db}}}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: bad}
spec: {jobTemplate: {spec: {template: {metadata: {annotations: {
  keeper.security/inject: "true", keeper.security/secret-a: "db[", keeper.security/refresh-interval: 5x}}}}}}
---
apiVersion: v1
kind: Pod
metadata: {name: odd, annotations: {keeper.security/inject: "true", keeper.security/secret: x, keeper.security/sekret: y}}
spec: {}
---
apiVersion: v1
kind: Service
metadata: {name: other}
spec: {}
"""


def run(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    command = [sys.executable, "-m", "keeper_injector_common.cli", *arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=30, check=False)


def test_every_problem_of_every_workload() -> None:
    """Problems are named with file, workload and annotation; a warning alone does not fail."""
    result = run("lint", "-", text=MANIFESTS)
    assert result.returncode == 1
    assert result.stdout.splitlines() == [
        "-: CronJob/bad: keeper.security/refresh-interval: '5x' is not a duration; write 30s, 5m or 1h30m",
        "-: CronJob/bad: keeper.security/secret-a: 'db[' at character 4: ']' is missing",
        "-: Pod/odd: warning: keeper.security/sekret: unknown annotation, ignored; did you mean keeper.security/secret?",
    ]


def test_strict_and_directories(tmp_path: Path) -> None:
    """With --strict a warning fails; directories are searched."""
    odd = MANIFESTS.split("---\n")[2]
    (tmp_path / "odd.yaml").write_text(odd, encoding="utf-8")
    assert run("lint", str(tmp_path)).returncode == 0
    assert run("lint", "--strict", str(tmp_path)).returncode == 1


def test_mistakes_are_sentences(tmp_path: Path) -> None:
    """No traceback for what is not there or no YAML."""
    missing = run("lint", str(tmp_path / "none.yaml"))
    assert (missing.returncode, "No such file" in missing.stderr) == (66, True)
    broken = run("lint", "-", text="a: [\n")
    assert (broken.returncode, "-:2:1: not valid YAML" in broken.stderr) == (65, True)
    assert "Traceback" not in missing.stderr + broken.stderr


def test_templates_are_parsed() -> None:
    """A template that cannot work is found before a pod exists."""
    annotations = (
        '{keeper.security/inject: "1", keeper.security/secret-x: "db:/a/x", keeper.security/template-x: "{{ .a "}'
    )
    result = run("lint", "-", text=f"kind: Pod\nmetadata: {{name: p, annotations: {annotations}}}\nspec: {{}}\n")
    assert "keeper.security/secret-x: template, parsing line 1" in result.stdout
