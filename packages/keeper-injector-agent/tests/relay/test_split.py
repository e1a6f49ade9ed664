"""``split``: two files, each useless alone, and refusals that say what to do."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import relays

from keeper_injector_agent.relay.commands import PODS_HALF, RELAY_HALF
from local_keeper import LocalKeeper

URL = "http://keeper-injector-relay.keeper-injector.svc.cluster.local.:8080"


def run(directory: Path, config: str, url: str = URL) -> subprocess.CompletedProcess[str]:
    """Split a configuration that comes from standard input."""
    command = [sys.executable, "-m", "keeper_injector_agent", "split", "--config", "-", "--relay", url]
    return subprocess.run(
        [*command, "--output", str(directory)], input=config, capture_output=True, text=True, check=False
    )


def test_both_files_are_private_and_complete(keeper: LocalKeeper, tmp_path: Path) -> None:
    relay_half, pods_half = relays.split(keeper, URL, tmp_path)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (relay_half, pods_half)] == [0o600, 0o600]
    assert json.loads(relay_half.read_bytes()).keys() == {
        *("hostname", "clientId", "privateKey", "serverPublicKeyId", "serverPublicKey", "application")
    }
    assert json.loads(pods_half.read_bytes()).keys() == {"relay", "appKey", "devicePublicKey", "relayMaxAge"}


@pytest.mark.parametrize(
    ("config", "url", "words"),
    [
        ("", URL, "-: empty"),
        ("US:" + "k" * 43, URL, "a one-time token"),
        ("{}", URL, "neither JSON nor base64 of JSON"),
        ('{"clientId": "x"}', URL, "privateKey, appKey missing"),
        ('{"relay": "http://a", "appKey": "x", "devicePublicKey": "y"}', URL, "is the pods' half of a split already"),
        ("whole", "ftp://relay", "--relay: not the URL of a relay; write http://HOST:PORT"),
        ("whole", "http://relay/path", "--relay: not the URL of a relay"),
        ("whole", "http://user@relay", "--relay: not the URL of a relay"),
        ("whole", "http://relay:99999", "--relay: not the URL of a relay"),
    ],
)
def test_refusals(keeper: LocalKeeper, tmp_path: Path, config: str, url: str, words: str) -> None:
    done = run(tmp_path, keeper.config() if config == "whole" else config, url)
    assert done.returncode != 0
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("*half*"))


def test_no_file_is_overwritten(keeper: LocalKeeper, tmp_path: Path) -> None:
    (tmp_path / PODS_HALF).write_text("mine", encoding="utf-8")
    done = run(tmp_path, keeper.config())
    assert done.returncode != 0
    assert f"{tmp_path / PODS_HALF}: exists" in done.stderr
    assert (tmp_path / PODS_HALF).read_text(encoding="utf-8") == "mine"
    assert not (tmp_path / RELAY_HALF).exists()
