"""Local Keeper by itself: installed as its README says, it does what its README and its help say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_keeper.cli import EXAMPLES

PACKAGE = Path(__file__).parents[1]
README = (PACKAGE / "README.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((PACKAGE / "pyproject.toml").read_text(encoding="utf-8"))
COMMANDS = re.findall(r"^\$ (.+)$", README, re.MULTILINE)
INSTALL, SERVE = COMMANDS[:2]
pytestmark = pytest.mark.timeout(400)


@pytest.fixture(name="environment", scope="module")
def _environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Install into an empty environment. The dependencies come first: without them, the registry is unreachable."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    environment = {**clean, "PATH": f"{folder}/venv/bin:{os.environ['PATH']}", "XDG_RUNTIME_DIR": str(folder)}
    needed = [*PROJECT["build-system"]["requires"], *PROJECT["project"]["dependencies"]]
    fetched = subprocess.run(
        ["pip", "install", "--quiet", "--disable-pip-version-check", *needed],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if fetched.returncode:
        pytest.skip(f"pip cannot fetch the dependencies: {fetched.stderr.strip()[-300:]}")
    assert INSTALL == "pip install ./tools/local_keeper"
    subprocess.run(INSTALL.split(), cwd=PACKAGE.parents[1], env=environment, check=True, stdout=subprocess.DEVNULL)
    return environment


@pytest.fixture(name="announced", scope="module")
def _announced(environment: dict[str, str]) -> Iterator[str]:
    """Run the documented server, and return what it prints until it is ready."""
    process = subprocess.Popen(SERVE.split(), env=environment, cwd="/", stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("KSM configuration"):
            break
    yield "".join(lines)
    process.terminate()
    assert process.wait(10) == 0
    process.stdout.close()


def shell(environment: dict[str, str], commands: list[str]) -> str:
    """Run commands in one shell that stops at the first failure; return what they print."""
    script = "\n".join(["set -eu", *commands])
    done = subprocess.run(
        ["bash", "-c", script], env=environment, cwd="/", capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, f"{script}\n{done.stderr}"
    return done.stdout


def test_the_commands_of_the_readme_work(environment: dict[str, str], announced: str) -> None:
    """Every command after the server's, in their order."""
    shell(environment, [*COMMANDS[2:], 'test -s "$REQUESTS_CA_BUNDLE"', 'test -n "$KSM_CONFIG"'])
    assert "database-credentials" in announced


def test_the_examples_of_the_help_work(environment: dict[str, str], announced: str) -> None:
    """They name the installed command, and the help prints them."""
    assert announced
    examples = [re.split(r" {3,}", line.strip())[0] for line in EXAMPLES.splitlines()[1:]]
    assert len(examples) > 5
    assert all("local-keeper " in example for example in examples)
    shell(environment, [*(example for example in examples if example != SERVE), "local-keeper clear"])
    assert EXAMPLES in shell(environment, ["local-keeper --help"])


def test_the_page_is_part_of_the_package(environment: dict[str, str], announced: str) -> None:
    """The files of the page are installed, and its address is printed at the start and by its command."""
    (address,) = re.findall(r"^web page: (\S+)$", announced, re.MULTILINE)
    assert shell(environment, ["local-keeper page"]).strip() == address
    for name in ("", "page.css", "page.js"):
        with urllib.request.urlopen(address + name, timeout=10) as answer:
            assert len(answer.read()) > 1000
