"""Local Keeper's command line, as a shell uses it."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2]


def run(state: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "local_keeper", "--state", str(state), *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, "PYTHONPATH": str(TOOLS), **environment},
    )


@pytest.fixture(name="state", scope="module")
def _state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    state = tmp_path_factory.mktemp("state")
    command = [sys.executable, "-m", "local_keeper", "--state", str(state), "--output", "json", "serve"]
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(TOOLS)})
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    assert set(ready) == {"url", "config", "ca", "page"}
    assert time.monotonic() - started < 10
    yield state
    process.terminate()
    assert process.wait(5) == 0
    process.stdout.close()
    assert not (state / "address.json").exists()


READ = """
import sys
from keeper_secrets_manager_core import SecretsManager
print(SecretsManager().get_notation_results(sys.argv[1])[0])
"""


def test_a_shell_reads_changes_and_breaks(state: Path) -> None:
    """The printed configuration works with the SDK; a change is seen; a fault is met; requests are counted."""
    config = run(state, "config").stdout.strip()
    trust = {"KSM_CONFIG": config, "REQUESTS_CA_BUNDLE": run(state, "ca").stdout.strip()}
    read = [sys.executable, "-c", READ, "keeper://api-keys/field/login"]
    environment = {**os.environ, **trust}
    assert subprocess.check_output(read, env=environment, text=True) == "billing\n"
    assert run(state, "set", "api-keys", "login", "new").returncode == 0
    assert subprocess.check_output(read, env=environment, text=True) == "new\n"
    assert run(state, "fault", "revoked", "--operation", "get_secret").returncode == 0
    assert subprocess.run(read, env=environment, capture_output=True, check=False).returncode == 1
    counts = json.loads(run(state, "--output", "json", "stats").stdout)
    assert counts["get_secret"] >= 3
    assert "get_secret" in run(state, "stats").stdout
    assert stat.S_IMODE((state / "address.json").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["set", "nothing", "x", "y"], "no record 'nothing'; there are TLS Certs"),
        (["fault", "throttled", "1", "2", "3"], "takes from 1 to 3 positional arguments"),
    ],
)
def test_mistakes_are_sentences(state: Path, arguments: list[str], message: str) -> None:
    """A wrong order is one line on standard error."""
    result = run(state, *arguments)
    assert (result.returncode, result.stdout) == (69, "")
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_without_a_server(tmp_path: Path) -> None:
    """The way to start one is named."""
    result = run(tmp_path, "stats")
    assert result.returncode == 69
    assert "start one: local-keeper serve" in result.stderr


def test_help_has_examples(tmp_path: Path) -> None:
    """People learn from examples, with the name of the installed command."""
    assert "local-keeper outage 30" in run(tmp_path, "--help").stdout
    assert "python -m" not in run(tmp_path, "--help").stdout


def test_the_page_is_found(state: Path, tmp_path: Path) -> None:
    """The help says where it is, and a command prints its address."""
    assert "http://127.0.0.1:PORT/" in run(tmp_path, "serve", "--help").stdout.replace("\n", " ")
    address = run(state, "page").stdout.strip()
    with urllib.request.urlopen(address, timeout=10) as answer:
        assert b"Local Keeper" in answer.read()


def test_a_server_without_a_page_says_so(tmp_path: Path) -> None:
    """The command to print its address fails with a reason."""
    (tmp_path / "address.json").write_text(json.dumps({"url": "https://127.0.0.1:1", "token": "x", "page": None}))
    result = run(tmp_path, "page")
    assert (result.returncode, "start it without --no-page" in result.stderr) == (69, True)
