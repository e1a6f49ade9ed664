"""Binding: a one-time token becomes a configuration exactly once, also after failures."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from keeper_injector_agent.keeper.binding import parse_token
from keeper_injector_common.errors import ContractError
from local_keeper import Fault, LocalKeeper

TOKEN = "A" * 43


def bind(keeper: LocalKeeper, output: Path, token: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run ``bind`` with *token* on stdin."""
    line = [sys.executable, "-m", "keeper_injector_agent", "bind", "--output", str(output), *options]
    line += ["--hostname", keeper.hostname, "--ca-file", str(keeper.ca_file)]
    return subprocess.run(line, input=token, capture_output=True, text=True, timeout=60, check=False)


def given(keeper: LocalKeeper, token: str) -> str:
    """Return a token with the server's key, in the form that isolated Keepers use."""
    return f"IL5:{token}:{keeper.server_key_id}:{keeper.server_public_key}\n"


def test_a_token_becomes_a_configuration_that_works(keeper: LocalKeeper, tmp_path: Path) -> None:
    """Only the owner can read the new configuration, the token is not in it, and the agent can use it."""
    output = tmp_path / "ksm-config.json"
    result = bind(keeper, output, given(keeper, keeper.token()))
    assert result.returncode == 0, result.stderr
    assert f"--from-file=config={output}" in result.stdout
    configuration = json.loads(output.read_text(encoding="utf-8"))
    assert "clientKey" not in configuration
    assert configuration["hostname"] == keeper.hostname
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["ksm-config.json"]
    from agent_pods import AgentPod

    pod = AgentPod(tmp_path / "pod", keeper)
    pod.put("/keeper/credentials/config", output.read_text(encoding="utf-8"))
    pod.wants({"x": "api-keys[login]"})
    assert pod.run("init").returncode == 0
    assert pod.file("x") == "billing"


def test_an_existing_file_is_not_overwritten(keeper: LocalKeeper, tmp_path: Path) -> None:
    """An existing output file is an error, and the token stays unused."""
    output = tmp_path / "ksm-config.json"
    output.write_text("precious", encoding="utf-8")
    result = bind(keeper, output, given(keeper, keeper.token()))
    assert (result.returncode, keeper.requests) == (os.EX_CONFIG, {})
    assert "exists; choose another file" in result.stderr
    assert output.read_text(encoding="utf-8") == "precious"


@pytest.mark.parametrize("fault", [Fault.http(503), Fault.cut(), Fault.truncate()], ids=lambda fault: str(fault)[:24])
def test_a_failure_is_retried_with_the_same_key(keeper: LocalKeeper, tmp_path: Path, fault: Fault) -> None:
    """Keeper may have bound the token although its response was lost: only the same private key can retry."""
    keeper.fault(fault, "get_secret", 1)
    output = tmp_path / "ksm-config.json"
    result = bind(keeper, output, given(keeper, keeper.token()))
    assert result.returncode == 0, result.stderr
    assert output.exists()


def test_an_interrupted_run_is_continued(keeper: LocalKeeper, tmp_path: Path) -> None:
    """The key waits beside the configuration; another token cannot use it."""
    token, output = keeper.token(), tmp_path / "ksm-config.json"
    keeper.fault(Fault.truncate(), "get_secret", None)
    failed = bind(keeper, output, given(keeper, token), "--deadline", "1")
    assert failed.returncode == os.EX_TEMPFAIL
    assert token not in failed.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["ksm-config.json.pending"]
    keeper.clear_faults()
    other = bind(keeper, output, given(keeper, keeper.token()))
    assert other.returncode == os.EX_CONFIG
    assert "left by an interrupted binding of another token" in other.stderr
    assert bind(keeper, output, given(keeper, token)).returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["ksm-config.json"]


@pytest.mark.parametrize("lost", [Fault.truncate(), Fault.cut(), Fault.http(503)], ids=["truncated", "cut", "503"])
def test_the_key_of_the_application_is_not_lost(keeper: LocalKeeper, tmp_path: Path, lost: Fault) -> None:
    """Keeper does not send the key again after the second request, even if its answer is lost: the next run still has it."""
    token, output = given(keeper, keeper.token()), tmp_path / "ksm-config.json"
    keeper.fault(lost, "get_secret", None, after=1)
    failed = bind(keeper, output, token, "--deadline", "2")
    assert failed.returncode == os.EX_TEMPFAIL
    assert not output.exists()
    keeper.clear_faults()
    keeper.reset_requests()
    again = bind(keeper, output, token)
    assert (again.returncode, keeper.requests) == (0, {"get_secret": 1}), again.stderr
    assert "clientKey" not in json.loads(output.read_text(encoding="utf-8"))
    assert [path.name for path in tmp_path.iterdir()] == ["ksm-config.json"]


def test_a_second_answer_that_is_lost_once_is_retried(keeper: LocalKeeper, tmp_path: Path) -> None:
    """One run is enough if the failure passes."""
    keeper.fault(Fault.truncate(), "get_secret", 1, after=1)
    assert bind(keeper, tmp_path / "ksm-config.json", given(keeper, keeper.token())).returncode == 0


def test_a_token_is_bound_once(keeper: LocalKeeper, tmp_path: Path) -> None:
    """A second device does not get the application, and the message says why."""
    token = given(keeper, keeper.token())
    assert bind(keeper, tmp_path / "first.json", token).returncode == 0
    second = bind(keeper, tmp_path / "second.json", token)
    assert second.returncode == os.EX_NOPERM
    assert "access denied" in second.stderr
    assert not (tmp_path / "second.json").exists()


def test_two_processes_cannot_bind_at_once(keeper: LocalKeeper, tmp_path: Path) -> None:
    """Of two processes with one token, one binds and the other reports that."""
    output, token = tmp_path / "ksm-config.json", given(keeper, keeper.token())
    keeper.fault(Fault.slow(1.0), "get_secret", 1)
    line = [sys.executable, "-m", "keeper_injector_agent", "bind", "--output", str(output)]
    line += ["--hostname", keeper.hostname, "--ca-file", str(keeper.ca_file)]
    running = [subprocess.Popen(line, stdin=subprocess.PIPE, stdout=-3, stderr=-3, text=True) for _ in range(2)]
    for process in running:
        process.communicate(token, timeout=60)
    assert sorted(process.returncode for process in running) == [0, os.EX_CONFIG]
    assert output.exists()


@pytest.mark.parametrize(
    ("text", "host"),
    [
        (f"US:{TOKEN}", "keepersecurity.com"),
        (f"eu:{TOKEN}", "keepersecurity.eu"),
        (f"ksm.example.com:{TOKEN}", "ksm.example.com"),
        (f"ksm.example.com:8443:{TOKEN}", "ksm.example.com:8443"),
        (f"IL5:{TOKEN}:20:{'B' * 87}", "il5.keepersecurity.us"),
    ],
    ids=["region", "in small letters", "host", "host and port", "with the server's key"],
)
def test_all_forms_of_a_token_are_parsed(text: str, host: str) -> None:
    """Tokens are accepted as Keeper shows them; the SDK (17.3.0) takes a port for the token."""
    parts = parse_token(text)
    assert (parts["clientKey"], parts["hostname"]) == (TOKEN, host)


@pytest.mark.parametrize(
    "text", ["", TOKEN, "US:short", f"US:{TOKEN}:1", f"a:b:c:{TOKEN}:x", f"US:{'!' * 43}"], ids=range(6)
)
def test_an_invalid_token_is_explained(text: str) -> None:
    """The message says what is expected and never repeats the token."""
    with pytest.raises(ContractError, match="one-time token: ") as caught:
        parse_token(text)
    assert TOKEN not in str(caught.value)
