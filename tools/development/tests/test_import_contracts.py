"""Each contract of .importlinter is broken by a planted violation, and so are the rules that import-linter cannot express."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PACKAGES = ("common", "agent", "webhook")

SHARED = "The agent and the webhook share only keeper_injector_common"
LAYERS = "A folder of keeper_injector_{} imports only folders below it"
AGENT_READS_PLANS = "The agent imports neither annotations nor, except for its check, cli"
NETWORK = "keeper_injector_common uses no network and starts no programs"
VIOLATIONS = [
    ("agent/state", "import keeper_injector_webhook", SHARED),
    ("webhook/admission/pod", "import keeper_injector_agent.state", SHARED),
    ("common/parsers", "import keeper_injector_agent.state", SHARED),
    ("common/parsers", "from keeper_injector_common.annotations import request", "No two modules import each other"),
    ("common/records/selection", "import keeper_injector_common.annotations.table", LAYERS.format("common")),
    ("webhook/admission/decide", "import keeper_injector_webhook.serving.app", LAYERS.format("webhook")),
    ("agent/keeper/sdk", "import keeper_injector_agent.delivery.refresh", LAYERS.format("agent")),
    ("agent/a_new_module", "", LAYERS.format("agent")),
    (
        "common/plan/delivery",
        "import keeper_injector_common.annotations.table",
        "The plan knows neither annotations nor records",
    ),
    (
        "common/plan/model",
        "import keeper_injector_common.records.record",
        "The plan knows neither annotations nor records",
    ),
    ("agent/worker", "import keeper_injector_common.annotations.table", AGENT_READS_PLANS),
    ("agent/worker", "import keeper_injector_common.cli.console", AGENT_READS_PLANS),
    ("webhook/serving/server", "import keeper_injector_common.cli.console", "Only commands import cli"),
    ("common/parsers", "import requests", NETWORK),
    ("common/records/formats/json_format", "import subprocess", NETWORK),
    ("webhook/admission/decide", "from starlette.requests import Request", "Admission does no I/O"),
    ("agent/supervisor/process", "import attrs", "The supervisor imports little, and nothing but the standard library"),
    ("agent/delivery/refresh", "import keeper_secrets_manager_core", "One module imports Keeper's SDK"),
    ("agent/keeper/sdk", "import requests", "One module imports requests"),
    ("agent/keeper/transport", "import tenacity", "One module imports tenacity"),
    ("agent/credentials/file", "import boto3", "One module imports the SDKs of the clouds"),
    (
        "webhook/serving/server",
        "import kubernetes",
        "The certificate program and the check of a cluster import the Kubernetes client",
    ),
]


@pytest.fixture(name="tree", scope="module")
def _tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages with the rules for them."""
    tree = tmp_path_factory.mktemp("tree")
    for name in (".importlinter", ".ruff.toml"):
        shutil.copy(ROOT / name, tree)
    for name in PACKAGES:
        package = f"packages/keeper-injector-{name}"
        shutil.copytree(ROOT / package / "src", tree / package / "src")
        if (ROOT / package / ".ruff.toml").exists():
            shutil.copy(ROOT / package / ".ruff.toml", tree / package)
    return tree


def _source(tree: Path, module: str) -> Path:
    package, _, rest = module.partition("/")
    return tree / f"packages/keeper-injector-{package}/src/keeper_injector_{package}" / f"{rest}.py"


def _imports(tree: Path) -> subprocess.CompletedProcess[str]:
    sources = [str(tree / f"packages/keeper-injector-{name}/src") for name in PACKAGES]
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sources), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_contract_has_a_violation() -> None:
    """A contract that nothing can break would protect nothing."""
    config = ConfigParser()
    config.read(ROOT / ".importlinter")
    names = {config[section]["name"] for section in config.sections() if ":contract:" in section}

    assert {contract for _, _, contract in VIOLATIONS} == names


def test_the_tree_as_it_is_keeps_every_contract(tree: Path) -> None:
    """Without a planted violation no contract is broken: otherwise the tests below would prove nothing."""
    done = _imports(tree)

    assert done.returncode == 0, done.stdout
    assert " 0 broken" in done.stdout


@pytest.mark.parametrize(("module", "line", "contract"), VIOLATIONS, ids=[f"{v[0]}: {v[1]}" for v in VIOLATIONS])
def test_a_planted_import_breaks_its_contract(tree: Path, module: str, line: str, contract: str) -> None:
    """One import in the wrong place, or a module in no layer, fails the check, which names the contract."""
    source = _source(tree, module)
    before = source.read_text() if source.exists() else None
    source.write_text(f"{before or ''}\n{line}\n")
    try:
        done = _imports(tree)
    finally:
        if before is None:
            source.unlink()
        else:
            source.write_text(before)

    assert done.returncode == 1
    assert any(found.startswith(contract) and "BROKEN" in found for found in done.stdout.splitlines()), done.stdout


def test_common_cannot_import_urllib_request(tree: Path) -> None:
    """import-linter sees only `urllib`, whose parsing of URLs is allowed; ruff tells the two apart."""
    planted = _source(tree, "common/fetching")
    planted.write_text('"""Fetch."""\n\nimport urllib.request\n\n__all__ = ["urllib"]\n')
    try:
        done = subprocess.run(
            [Path(sys.executable).with_name("ruff"), "check", "--no-cache", "--output-format=concise", planted],
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        planted.unlink()

    assert done.returncode == 1
    assert "TID251 `urllib.request` is banned" in done.stdout


WITHOUT_FILES = ("common", "webhook/admission", "webhook/metrics")
"""Where no file is touched, but for the command line of common."""
TOUCHES_FILES = {
    *(
        "chmod",
        "exists",
        "glob",
        "is_dir",
        "is_file",
        "iterdir",
        "listdir",
        "lstat",
        "mkdir",
        "open",
        "read_bytes",
        "read_text",
    ),
    *("readlink", "rglob", "rmdir", "scandir", "stat", "symlink_to", "touch", "unlink", "write_bytes", "write_text"),
}
"""Functions of the standard library and methods of its paths."""


def _files_touched(source: str) -> list[str]:
    """Return the calls in *source* that read or write files, with their lines."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    names = [(node.lineno, getattr(node.func, "attr", getattr(node.func, "id", ""))) for node in calls]
    return [f"{line}: {name}" for line, name in names if name in TOUCHES_FILES]


def test_only_the_edges_touch_files() -> None:
    """The command line reads and writes files; the rest of common, and admission, get what they need as arguments."""
    found = []
    for part in WITHOUT_FILES:
        path = _source(ROOT, part).with_suffix("") if part.count("/") else _source(ROOT, f"{part}/x").parent
        modules = sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
        assert modules
        for module in modules:
            if "keeper_injector_common/cli" not in module.as_posix():
                found += [f"{module}:{call}" for call in _files_touched(module.read_text(encoding="utf-8"))]

    assert found == []


@pytest.mark.parametrize("line", ["open('/etc/hosts')", "Path('x').read_text()", "os.listdir('/')", "path.exists()"])
def test_a_planted_file_access_is_found(line: str) -> None:
    """Without this, the test above could pass for want of looking."""
    assert _files_touched(f"def f(path):\n    return {line}\n")


def test_the_supervisor_imports_the_standard_library_only() -> None:
    """The contract above lists the modules that cost memory; this one covers every other third party."""
    modules = sorted(_source(ROOT, "agent/supervisor/process").parent.glob("*.py"))
    trees = [ast.walk(ast.parse(module.read_text(encoding="utf-8"))) for module in modules]
    nodes = [node for tree in trees for node in tree]
    imported = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    imported += [str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)]
    others = {name for name in imported if not name.startswith("keeper_injector_agent.supervisor.")}

    assert others < set(imported)
    assert {name.partition(".")[0] for name in others} <= sys.stdlib_module_names
