"""The server with a certificate that it manages itself."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from api_server import ApiServer, kubeconfig


@attrs.frozen
class Running:
    """The server as a process, with a certificate that it manages itself."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def get(self, path: str, bundle: bytes) -> int:
        """Send a request as an API server that trusts *bundle*, under the Service's name; return the status."""
        context = ssl.create_default_context(cadata=bundle.decode())
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname="webhook.injector.svc") as secure,
        ):
            connection = http.client.HTTPConnection("webhook.injector.svc")
            connection.sock = secure
            connection.request("GET", path)
            return connection.getresponse().status


@pytest.fixture(name="running")
def _running(api: ApiServer, tmp_path: Path) -> Iterator[Running]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    directory = tmp_path / "tls"
    directory.mkdir()
    options = {
        "host": "127.0.0.1",
        "port": port,
        "tls": "own",
        "directory": directory,
        "namespace": "injector",
        "secret": "webhook-tls",
        "service": "webhook",
        "webhook-configuration": "webhook",
        "kubeconfig": kubeconfig(api, tmp_path),
        "drain": 0.2,
        "poll": 0.2,
    }
    command = [sys.executable, "-m", "keeper_injector_webhook.cli", "serve"]
    command += [f"--{name}={value}" for name, value in options.items()]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield Running(port, process, tmp_path / "log")
        finally:
            process.kill()
            process.wait()


def wait_for_https(running: Running, api: ApiServer) -> None:
    """Wait until the server presents a certificate that the API server trusts."""
    until = time.monotonic() + 30
    while True:
        try:
            assert running.get("/readyz", api.bundle()) == 200
        except (OSError, ValueError):
            assert time.monotonic() < until, running.log.read_text(encoding="utf-8")
            time.sleep(0.1)
        else:
            return


def test_the_server_uses_the_certificate_that_it_created(running: Running, api: ApiServer) -> None:
    """From an empty Secret to a verified connection, and a clean exit on SIGTERM."""
    wait_for_https(running, api)
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(10) == 0
    events = [json.loads(line)["event"] for line in running.log.read_text(encoding="utf-8").splitlines()]
    assert events[:2] == ["certificate.renewed", "certificate.trusted"]


def test_the_server_waits_for_the_api_server(running: Running, api: ApiServer) -> None:
    """The server logs why it has no certificate, and stops on SIGTERM while it waits."""
    api.status = 403
    until = time.monotonic() + 20
    while "may not read or patch it" not in running.log.read_text(encoding="utf-8"):
        assert time.monotonic() < until
        time.sleep(0.1)
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(10) == 0
