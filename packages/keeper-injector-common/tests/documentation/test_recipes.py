"""The recipes: their manifests are injected, and their applications read what the agent writes from the sample vault."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from keeper_injector_agent.delivery.files import File, write_files
from keeper_injector_common.cli.lint import lint_text
from keeper_injector_common.cli.manifests import workloads
from keeper_injector_webhook.admission.decide import Inject
from keeper_injector_webhook.preview import preview_workload
from keeper_injector_webhook.settings import Settings
from local_keeper import LocalKeeper

ROOT = Path(__file__).parents[4]
PAGE = (ROOT / "packages/keeper-injector-common/docs/recipes.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+)\n((?:.*\n)*?)(?=^## |\Z)", PAGE, re.MULTILINE))
MANIFESTS = {
    heading: manifest
    for heading, text in SECTIONS.items()
    for manifest in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    if "kind:" in manifest
}


def code(heading: str, language: str) -> str:
    """Return the code of an application."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", SECTIONS[heading], re.DOTALL)
    return str(found)


@pytest.fixture(scope="module")
def keeper() -> Iterator[LocalKeeper]:
    """A Keeper with the sample vault."""
    with LocalKeeper.start() as running:
        yield running


def delivered(heading: str, keeper: LocalKeeper, root: Path) -> Path:
    """Write the files of a recipe below *root*, with the plan of the webhook and the program of the agent."""
    command = [sys.executable, "-m", "keeper_injector_common.cli", "preview", "--plan", "-"]
    plan = json.loads(subprocess.check_output(command, input=MANIFESTS[heading], text=True))
    plan = {**plan, "caFile": "/ca.crt"}
    (root / "ca.crt").write_bytes(keeper.ca_file.read_bytes())
    (root / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    for path in (
        plan["state"],
        Path(plan["credentials"]["path"]).parent,
        *(one["path"] for one in plan["directories"]),
    ):
        (root / str(path).lstrip("/")).mkdir(parents=True, exist_ok=True)
    (root / plan["credentials"]["path"].lstrip("/")).write_text(json.dumps(keeper.config_dict()), encoding="utf-8")
    once = [
        sys.executable,
        "-m",
        "keeper_injector_agent",
        "once",
        "--plan",
        str(root / "plan.json"),
        "--root",
        str(root),
    ]
    subprocess.run(once, check=True, timeout=60)
    (directory,) = plan["directories"]
    return root / directory["path"].lstrip("/")


@pytest.mark.parametrize("heading", MANIFESTS)
def test_a_recipe_is_injected(heading: str) -> None:
    """Lint has no finding, and the webhook's code injects the workload without a warning."""
    assert lint_text(heading, MANIFESTS[heading]).findings == ()
    (decision,) = (preview_workload(heading, each, Settings()).decision for each in workloads(MANIFESTS[heading]))
    assert isinstance(decision, Inject)
    assert decision.warnings == ()


def test_every_recipe_is_listed() -> None:
    """The table at the top links to each recipe."""
    rows = re.findall(r"^\| \[.+?\]\(#(.+?)\) \|", PAGE, re.MULTILINE)
    anchors = [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in MANIFESTS]
    assert rows == anchors


def test_the_values_of_a_chart_are_those_of_its_pods() -> None:
    """The annotations in the chart's values are the ones in the manifest beside them."""
    heading = "A third party's chart"
    values = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", SECTIONS[heading], re.DOTALL)[0])
    workload = list(yaml.safe_load_all(MANIFESTS[heading]))[-1]
    assert workload["spec"]["template"]["metadata"]["annotations"] == values["podAnnotations"]


def test_spring_reads_one_file(keeper: LocalKeeper, tmp_path: Path) -> None:
    """The file has the two properties."""
    directory = delivered("Spring Boot with one file", keeper, tmp_path)
    assert (directory / "datasource.properties").read_text(encoding="utf-8").split() == [
        "spring.datasource.username=app",
        "spring.datasource.password=correct-horse-battery",
    ]


def test_spring_reads_a_tree(keeper: LocalKeeper, tmp_path: Path) -> None:
    """Each file of the directory is a property, without a line break."""
    directory = delivered("Spring Boot with `configtree:`", keeper, tmp_path)
    found = {
        path.name: path.read_text(encoding="utf-8") for path in directory.iterdir() if not path.name.startswith("..")
    }
    assert found == {"spring.datasource.username": "app", "spring.datasource.password": "correct-horse-battery"}


def test_dotnet_reads_keys_with_sections(keeper: LocalKeeper, tmp_path: Path) -> None:
    """A colon in a key of a JSON file is the section's end in .NET."""
    directory = delivered(".NET", keeper, tmp_path)
    content = json.loads((directory / "database.json").read_text(encoding="utf-8"))
    assert content == {"Database:Username": "app", "Database:Password": "correct-horse-battery"}


def test_django_reads_its_database(keeper: LocalKeeper, tmp_path: Path) -> None:
    """The settings have what is in the record."""
    directory = delivered("Django", keeper, tmp_path)
    scope: dict[str, Any] = {}
    exec(code("Django", "python").replace("/app/secrets", str(directory)), scope)
    database = scope["DATABASES"]["default"]
    assert (database["HOST"], database["PORT"], database["USER"]) == ("db.example.com", "5432", "app")
    assert database["PASSWORD"] == "correct-horse-battery"


@pytest.mark.skipif(not shutil.which("node"), reason="no node on PATH")
def test_node_reads_its_settings(keeper: LocalKeeper, tmp_path: Path) -> None:
    """The settings of the pool have what is in the record; the password is read when it is needed."""
    directory = delivered("Node.js", keeper, tmp_path)
    source = code("Node.js", "js").replace("/app/secrets", str(directory))
    source += "console.log(JSON.stringify({ ...settings, password: settings.password() }));"
    assert json.loads(subprocess.check_output(["node", "-e", source], text=True)) == {
        "user": "app",
        "host": "db.example.com",
        "port": 5432,
        "password": "correct-horse-battery",
    }


def test_nginx_reloads_after_a_change(tmp_path: Path) -> None:
    """The loop in the manifest reloads once for each swap of the files, and retries a reload that fails."""
    directory, log = tmp_path / "tls", tmp_path / "log"
    directory.mkdir()
    write_files(directory, {"server.pem": File(b"old", 0o400)}, volume_size=2**20)
    program = tmp_path / "nginx"
    program.write_text(
        f'#!/bin/sh\necho "$*" >> {log}\n[ "$1" = -s ] || exec sleep 60\n[ $(grep -c reload {log}) -gt 1 ]\n',
        encoding="utf-8",
    )
    program.chmod(0o755)
    workload = list(yaml.safe_load_all(MANIFESTS["nginx with a root master"]))[-1]
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    script = container["args"][0].replace("/tls/", f"{directory}/").replace("sleep 10", "sleep 0.1")
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    running = subprocess.Popen([*container["command"], script], env=environment, start_new_session=True)
    try:
        time.sleep(0.5)
        assert log.read_text(encoding="utf-8").splitlines() == ["-g daemon off;"]
        write_files(directory, {"server.pem": File(b"new", 0o400)}, volume_size=2**20)
        until = time.monotonic() + 20
        while log.read_text(encoding="utf-8").count("-s reload") < 2 and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(0.5)
        assert log.read_text(encoding="utf-8").splitlines()[1:] == ["-s reload"] * 2
    finally:
        os.killpg(running.pid, 9)
        running.wait()


def test_the_sample_vault_is_described(keeper: LocalKeeper) -> None:
    """The table has every record of the sample vault with its type, fields and files, and no other."""
    rows = re.findall(r"^\| `(.+?)` \| (\w+) \| (.*) \|$", SECTIONS["The sample vault"], re.MULTILINE)
    described = {name: (kind, set(re.findall(r"`([^`]+)`", parts))) for name, kind, parts in rows}
    vault = yaml.safe_load((ROOT / "tools/local_keeper/sample-vault.yaml").read_text(encoding="utf-8"))
    assert described == dict(sample_records(vault, ""))


def sample_records(node: dict[str, Any], folder: str) -> Iterator[tuple[str, tuple[str, set[str]]]]:
    """Iterate over path, type and names of each record of a vault or folder."""
    for record in node.get("records", []):
        names = {"notes"} if "notes" in record else set()
        for group in (record.get("fields", {}), record.get("custom", {})):
            names |= {each.get("label", each["type"]) for each in group} if isinstance(group, list) else set(group)
        names |= set(record.get("files", {}))
        names |= {"server.pem", "server.key"} if "certificate" in record else set()
        yield folder + record["title"], (record["type"], names)
    for each in node.get("folders", []):
        yield from sample_records(each, f"{folder}{each['name']}/")
