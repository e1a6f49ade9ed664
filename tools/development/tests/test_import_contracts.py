"""Each contract of .importlinter, and what it cannot say, is broken by what it is there to prevent."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PACKAGES = ("common", "agent", "webhook")

VIOLATIONS = [
    ("agent/state", "import keeper_injector_webhook", "Agent and webhook know the contract, never each other"),
    (
        "webhook/admission/pod",
        "import keeper_injector_agent.state",
        "Agent and webhook know the contract, never each other",
    ),
    ("common/parsers", "import keeper_injector_agent.state", "Agent and webhook know the contract, never each other"),
    ("common/parsers", "from keeper_injector_common.annotations import request", "No two modules need each other"),
    ("common/parsers", "import requests", "The contract does no I/O"),
    ("common/records/formats/json_format", "import subprocess", "The contract does no I/O"),
    ("agent/delivery/refresh", "import keeper_secrets_manager_core", "One module speaks to Keeper's SDK"),
    ("agent/keeper/sdk", "import requests", "One module speaks HTTP to Keeper"),
    ("agent/keeper/transport", "import tenacity", "One module decides what is tried again"),
    ("agent/credentials/file", "import boto3", "One module speaks to clouds, each of them only when it is used"),
    (
        "webhook/serving/server",
        "import kubernetes",
        "One module speaks to a cluster by its client, which costs 3 s and 140 MB",
    ),
    ("webhook/admission/decide", "from starlette.requests import Request", "Deciding about a pod does no I/O"),
    ("agent/supervisor", "import attrs", "The process that stays imports little"),
]


@pytest.fixture(name="tree", scope="module")
def _tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages and of what is said about them."""
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


def test_the_tree_as_it_is_keeps_every_contract(tree: Path) -> None:
    """Nothing is broken before something is planted: otherwise the tests below would show nothing."""
    done = _imports(tree)

    assert done.returncode == 0, done.stdout
    assert " 0 broken" in done.stdout


@pytest.mark.parametrize(("module", "line", "contract"), VIOLATIONS, ids=[f"{v[0]}: {v[1]}" for v in VIOLATIONS])
def test_a_planted_import_breaks_its_contract(tree: Path, module: str, line: str, contract: str) -> None:
    """One import in the wrong place fails the check, which names the contract."""
    source = _source(tree, module)
    before = source.read_text()
    source.write_text(f"{before}\n{line}\n")
    try:
        done = _imports(tree)
    finally:
        source.write_text(before)

    assert done.returncode == 1
    assert any(found.startswith(contract) and "BROKEN" in found for found in done.stdout.splitlines()), done.stdout


def test_urllib_request_is_kept_out_of_the_contract(tree: Path) -> None:
    """import-linter sees only `urllib`, of which parsing is allowed: ruff tells the two apart."""
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
