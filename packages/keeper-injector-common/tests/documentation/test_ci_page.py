"""The workflow and the hook of the page of CI, run on good and on bad manifests."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

PAGE = (Path(__file__).parents[2] / "docs/ci.md").read_text(encoding="utf-8")
WORKFLOW, HOOKS = (yaml.safe_load(text) for text in re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
GOOD = """\
apiVersion: v1
kind: Pod
metadata:
  name: shop
  annotations: { keeper.security/inject: "true", keeper.security/secret: database-credentials }
spec:
  containers: [{ name: app, image: app }]
"""
BAD = GOOD.replace("database-credentials }", 'database-credentials, keeper.security/refresh-interval: "5x" }')


def run(command: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run a command of the page in *directory*."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(
        ["bash", "-c", command], cwd=directory, env=environment, capture_output=True, text=True, check=False
    )


def steps() -> list[dict[str, Any]]:
    """Return the workflow's steps that run the command."""
    return [step for step in WORKFLOW["jobs"]["keeper"]["steps"] if step.get("run", "").startswith("keeper-injector")]


@pytest.mark.parametrize(("manifest", "code"), [(GOOD, 0), (BAD, 1)], ids=["good", "bad"])
def test_the_workflow_fails_for_a_bad_manifest(tmp_path: Path, manifest: str, code: int) -> None:
    """Both steps end with 1 for a problem, the report is written nevertheless, and its upload always runs."""
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests/pod.yaml").write_text(manifest, encoding="utf-8")
    (tmp_path / "values.yaml").write_text("defaults: { refresh-interval: 10m }\n", encoding="utf-8")
    done = [run(step["run"], tmp_path) for step in steps()]
    assert [each.returncode for each in done] == [code, code], done
    assert ("::error file=manifests/pod.yaml" in done[0].stdout) == bool(code)
    (report,) = json.loads((tmp_path / "keeper.sarif").read_text(encoding="utf-8"))["runs"]
    assert bool(report["results"]) == bool(code)
    upload = WORKFLOW["jobs"]["keeper"]["steps"][-1]
    assert upload["with"]["sarif_file"] == "keeper.sarif"
    assert steps()[1]["if"] == upload["if"] == "always()"


@pytest.mark.parametrize(("manifest", "code"), [(GOOD, 0), (BAD, 1)], ids=["good", "bad"])
def test_the_hook_takes_the_files_of_a_commit(tmp_path: Path, manifest: str, code: int) -> None:
    """The hook gets several file names, and fails if one of them has a problem."""
    (hook,) = HOOKS["repos"][0]["hooks"]
    names = ["manifests/a.yaml", "manifests/sub/b.yml"]
    assert all(re.search(hook["files"], name) for name in names)
    assert not re.search(hook["files"], "manifests/readme.md")
    for name, content in zip(names, (GOOD, manifest), strict=True):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    assert run(f"{hook['entry']} {' '.join(names)}", tmp_path).returncode == code
