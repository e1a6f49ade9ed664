"""The programs in rotation.md, run while the agent's own code swaps their files."""

from __future__ import annotations

import json
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from keeper_injector_agent.delivery import files
from keeper_injector_agent.delivery.files import File
from local_keeper import sample_certificate

ROTATION = Path(__file__).parents[4] / "packages/keeper-injector-common/docs/rotation.md"
LATEST = 120.0
"""Seconds; Go compiles its standard library once."""


def program(language: str, **replaced: str) -> str:
    """Return the one program of a language, its paths and addresses replaced."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", ROTATION.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    for old, new in replaced.items():
        assert old in found
        found = found.replace(old, new)
    return found


def write(directory: Path, content: dict[str, bytes]) -> None:
    """Swap the files of a directory, as the agent does."""
    directory.mkdir(exist_ok=True)
    files.write_files(directory, {name: File(data, 0o400) for name, data in content.items()}, volume_size=2**20)


def eventually(found: Callable[[], Any], expected: Any) -> None:
    """Wait until *found* returns what is expected."""
    until = time.monotonic() + LATEST
    while (value := found()) != expected:
        assert time.monotonic() < until, value
        time.sleep(0.05)


def test_python_connects_with_what_is_there_now(tmp_path: Path) -> None:
    """Each connection reads the file again."""
    write(tmp_path, {"database-credentials.json": b'{"login": "app", "password": "old"}'})
    scope: dict[str, Any] = {"driver": SimpleNamespace(connect=lambda **given: given)}
    exec(program("python", **{"/keeper/secrets": str(tmp_path)}), scope)
    assert scope["connect"]() == {"user": "app", "password": "old"}
    write(tmp_path, {"database-credentials.json": b'{"login": "app", "password": "new"}'})
    assert scope["connect"]() == {"user": "app", "password": "new"}


@pytest.mark.skipif(not shutil.which("node"), reason="no node on PATH")
def test_a_node_application_sees_the_swap(tmp_path: Path) -> None:
    """A watch on the directory of the files reports the swap of a refresh."""
    write(tmp_path, {"api-keys.json": b'{"password": "old"}'})
    asked = 'process.stdin.on("data", () => console.log(JSON.stringify(keys)));'
    source = program("javascript", **{"/keeper/secrets": str(tmp_path)}) + asked
    with subprocess.Popen(["node", "-e", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as node:
        assert node.stdin
        assert node.stdout

        def keys() -> Any:
            print("?", file=node.stdin, flush=True)
            return json.loads(node.stdout.readline())

        eventually(keys, {"password": "old"})
        write(tmp_path, {"api-keys.json": b'{"password": "new"}'})
        eventually(keys, {"password": "new"})
        node.kill()


@pytest.mark.skipif(not shutil.which("go"), reason="no go on PATH")
def test_go_shows_the_new_certificate(tmp_path: Path) -> None:
    """From the next handshake on, by the same process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = free.getsockname()
    old, new = sample_certificate.files("shop.example.com"), sample_certificate.files("shop.example.com")
    write(tmp_path / "tls", old)
    replaced = {'"/tls/': f'"{tmp_path}/tls/', "127.0.0.1:8443": f"127.0.0.1:{address[1]}"}
    (tmp_path / "main.go").write_text(program("go", **replaced), encoding="utf-8")
    server = tmp_path / "server"
    subprocess.run(["go", "build", "-o", server, "main.go"], cwd=tmp_path, check=True, timeout=LATEST)

    def shown() -> bytes:
        try:
            return ssl.get_server_certificate(address).encode()
        except OSError:
            return b""

    with subprocess.Popen([server], stderr=subprocess.DEVNULL) as running:
        eventually(shown, old[sample_certificate.CERTIFICATE])
        write(tmp_path / "tls", new)
        eventually(shown, new[sample_certificate.CERTIFICATE])
        running.kill()
