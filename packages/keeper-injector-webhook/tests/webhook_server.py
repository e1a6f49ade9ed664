"""A webhook as a process, and a client that connects to it as an API server does."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import trustme


@attrs.frozen
class Server:
    """A running webhook."""

    port: int
    context: ssl.SSLContext
    directory: Path
    authority: trustme.CA
    process: subprocess.Popen[bytes]

    def request(self, method: str, path: str, content: bytes | None = None) -> tuple[int, bytes]:
        """Send one request and return status and body."""
        with contextlib.closing(self.connect()) as connection:
            connection.request(method, path, content, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()

    def connect(self) -> http.client.HTTPSConnection:
        """Return a connection that stays open until it is closed."""
        return http.client.HTTPSConnection("localhost", self.port, context=self.context, timeout=10)

    def log(self) -> str:
        """Return the webhook's log."""
        return (self.directory / "log").read_text(encoding="utf-8")

    def certificate(self) -> bytes:
        """Return the certificate that the server presents on a new connection."""
        connection = self.connect()
        connection.connect()
        assert isinstance(connection.sock, ssl.SSLSocket)
        shown = connection.sock.getpeercert(binary_form=True)
        connection.close()
        return shown or b""


def issue(authority: trustme.CA, directory: Path) -> None:
    """Write a new key pair for localhost."""
    pair = authority.issue_cert("localhost")
    pair.private_key_pem.write_to_path(directory / "tls.key")
    pair.cert_chain_pems[0].write_to_path(directory / "tls.crt")


def free_port() -> int:
    """Return a port that is not in use."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


DOCKERFILE = Path(__file__).parents[1] / "Dockerfile"
MALLOC = dict(re.findall(r"(MALLOC_\w+)=(\d+)", DOCKERFILE.read_text(encoding="utf-8")))
"""The settings of glibc in the image."""
WITH_LIMITS = """
import json, sys
from pathlib import Path
from keeper_injector_common.logs import configure_logging
from keeper_injector_webhook.serving import ServerOptions, serve
from keeper_injector_webhook.serving.limits import Limits
from keeper_injector_webhook.settings import Settings
port, directory, limits, probes = sys.argv[1:]
configure_logging("info")
options = ServerOptions("127.0.0.1", int(port), Path(directory), drain=0.5, probe_port=int(probes), limits=Limits(**json.loads(limits)))
sys.exit(serve(options, Settings()))
"""
"""The program with other limits than its own, so that tests do not wait for its deadlines."""


def running(tmp_path: Path, *more: str, client: trustme.LeafCert | None = None) -> Iterator[Server]:
    """Start a webhook with *more* arguments; *client* is the certificate that its clients present."""
    port = free_port()
    command = [
        *("-m", "keeper_injector_webhook.cli", "serve", "--host", "127.0.0.1", "--port", str(port)),
        *("--certificates", str(tmp_path), "--drain", "0.5", "--poll", "0.2"),
        *more,
    ]
    yield from _started(tmp_path, port, command, client)


def limited(tmp_path: Path, probes: int, **limits: float) -> Iterator[Server]:
    """Start a webhook with other *limits*, and its port for probes."""
    port = free_port()
    yield from _started(tmp_path, port, ["-c", WITH_LIMITS, str(port), str(tmp_path), json.dumps(limits), str(probes)])


def _started(tmp_path: Path, port: int, command: list[str], client: trustme.LeafCert | None = None) -> Iterator[Server]:
    authority = trustme.CA()
    issue(authority, tmp_path)
    with (tmp_path / "log").open("wb") as log:
        environment = {**os.environ, **MALLOC}
        process = subprocess.Popen([sys.executable, *command], stdout=log, stderr=log, env=environment)
    context = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
    if client is not None:
        client.configure_cert(context)
    server = Server(port, context, tmp_path, authority, process)
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            server.request("GET", "/readyz")
            break
        except OSError:
            assert process.poll() is None, server.log()
            time.sleep(0.05)
    yield server
    process.kill()
    process.wait()


def review(server: Server, content: bytes) -> dict[str, Any]:
    """Send a review and return its response."""
    status, answer = server.request("POST", "/mutate?timeout=5s", content)
    assert status == 200
    response: dict[str, Any] = json.loads(answer)["response"]
    return response


def wait_for(condition: Any, seconds: float = 10.0) -> None:
    """Wait until *condition* holds; fail after *seconds*."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "not in time"
        time.sleep(0.05)
