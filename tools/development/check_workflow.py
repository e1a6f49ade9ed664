"""Runs the workflow of the page about CI with built wheels and without a checkout, and validates its reports.

The wheels come from a local folder, as they will come from a registry after their publication.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped] # its stubs are not among the tools
import yaml

from linters import programs

PAGE = Path(__file__).parents[2] / "packages/keeper-injector-common/docs/ci.md"
PACKAGE = "keeper-injector-webhook"
GOOD = """\
apiVersion: v1
kind: Pod
metadata:
  name: shop
  annotations: { keeper.security/inject: "true", keeper.security/records: database-credentials }
spec:
  containers: [{ name: app, image: app }]
"""
WRONG_VALUE = GOOD.replace("database-credentials }", 'database-credentials, keeper.security/refresh-interval: "5x" }')
REJECTED = GOOD.replace("image: app }", "image: app, volumeMounts: [{ name: x, mountPath: /keeper/secrets }] }")
REJECTED += "  volumes: [{ name: x, emptyDir: {} }]\n"
INVALID = "kind: Pod\nmetadata: [\n"
MANIFESTS = {
    "good": (GOOD, 0),
    "wrong value": (WRONG_VALUE, 1),
    "rejected": (REJECTED, 1),
    "invalid YAML": (INVALID, 1),
}
"""Content of a manifest, and the exit code of every command of the page for it."""
_SCHEMA = (
    "github.com/owenrumney/go-sarif/v3",
    "v3.2.1",
    "h1:Dogf2wkOxxRkG3O/B9T6dokyDSl36q19tlMYtXOTThE=",
    "pkg/report/v210/sarif/schema.go",
)
"""Module, version, hash and file with the text of OASIS's schema, sarif-schema-2.1.0.json (errata 01). No Python package has it."""


def check_workflow(dist: Path) -> None:
    """Install the wheels of *dist* by name, and run the page's commands on good and bad manifests; a failure exits."""
    schema = official_schema()
    with tempfile.TemporaryDirectory() as folder:
        environment = Path(folder, "venv")
        _run(["uv", "venv", "--quiet", "--seed", str(environment)], Path(folder))
        python = str(environment / "bin/python")
        _run([python, "-m", "pip", "install", "--quiet", "--find-links", str(dist.absolute()), PACKAGE], Path(folder))
        for name, (manifest, code) in MANIFESTS.items():
            place = Path(folder, name)
            (place / "manifests").mkdir(parents=True)
            (place / "manifests/pod.yaml").write_text(manifest, encoding="utf-8")
            (place / "values.yaml").write_text("defaults: { refresh-interval: 10m }\n", encoding="utf-8")
            for command in commands():
                # preview cannot do its work on what is not YAML, whereas lint reports it as a problem.
                expected = 2 if manifest == INVALID and " preview " in command else code
                _check(command, place, environment, expected, schema)
    checked = "its schema was not checked, because go was not found" if schema is None else "valid by OASIS's schema"
    print(f"  the workflow of {PAGE.name}: {len(commands())} commands, {len(MANIFESTS)} manifests, SARIF {checked}")


def commands() -> list[str]:
    """Return the commands of the page's workflow, and ``preview`` in the same ways."""
    [workflow] = [found for found in _documents() if isinstance(found, dict) and "jobs" in found]
    steps = [step.get("run", "") for step in workflow["jobs"]["keeper"]["steps"]]
    found = [step for step in steps if step.startswith("keeper-injector ")]
    return [*found, *(command.replace(" lint --strict", " preview") for command in found)]


def official_schema() -> Any:
    """Return OASIS's JSON Schema of SARIF 2.1.0; None without Go, which downloads it."""
    if shutil.which("go") is None:
        return None
    path, version, expected, file = _SCHEMA
    text = (programs.module(path, version, expected) / file).read_text(encoding="utf-8")
    return json.loads(text[text.index("`") + 1 : text.rindex("`")])


def _documents() -> list[Any]:
    blocks = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [yaml.safe_load(block) for block in blocks]


def _check(command: str, place: Path, environment: Path, code: int, schema: Any) -> None:
    path = f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}"
    variables = {name: text for name, text in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        ["bash", "-c", command], cwd=place, env={**variables, "PATH": path}, capture_output=True, text=True, check=False
    )
    report = place / "keeper.sarif"
    problem = ""
    if done.returncode != code:
        problem = f"exit code {done.returncode} instead of {code}"
    elif "-o github" in command and ("::error file=manifests/pod.yaml" in done.stdout) != bool(code):
        problem = "the line of the manifest is not marked as expected"
    elif "-o sarif" in command:
        log = json.loads(report.read_text(encoding="utf-8"))
        if bool(log["runs"][0]["results"]) != bool(code):
            problem = f"the report has {len(log['runs'][0]['results'])} results"
        if schema is not None:
            errors = jsonschema.validators.validator_for(schema)(schema).iter_errors(log)
            problem = "; ".join([problem, *(f"{error.json_path}: {error.message}" for error in errors)]).strip("; ")
    if problem:
        sys.exit(f"{place.name}: {command}: {problem}\n{done.stdout}{done.stderr}")


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
