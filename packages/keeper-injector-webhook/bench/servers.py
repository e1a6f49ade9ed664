"""Webhooks as processes: this one, and one with a constant response to compare it with."""

from __future__ import annotations

import http.client
import json
import os
import shlex
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import trustme

MALLOC = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "131072", "MALLOC_ARENA_MAX": "1"}
"""The settings of glibc in the image (Dockerfile)."""
CONSTANT = """
import asyncio, json, sys
from pathlib import Path
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route
from hypercorn.asyncio import serve
from hypercorn.config import Config
port, directory, answer = int(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
async def mutate(request):
    await request.body()
    return JSONResponse(answer)
async def ready(request):
    return PlainTextResponse("ready")
app = Starlette(routes=[Route("/mutate", mutate, methods=["POST"]), Route("/readyz", ready)])
config = Config()
config.bind = [f"127.0.0.1:{port}"]
config.certfile, config.keyfile = str(directory / "tls.crt"), str(directory / "tls.key")
config.alpn_protocols = ["http/1.1"]
config.keep_alive_max_requests = 10**9
asyncio.run(serve(app, config))
"""
API_SERVER = """
import http.server, json, ssl, sys, threading
port, directory = int(sys.argv[1]), sys.argv[2]
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if "watch=" in self.path:
            threading.Event().wait()
        kind = "MutatingWebhookConfigurationList"
        found = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"resourceVersion": "1"}, "items": []}
        body = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(f"{directory}/tls.crt", f"{directory}/tls.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""
"""As much of an API server as another webhook waits for when it starts: it has no webhook configurations."""


@attrs.define
class Process:
    """A running webhook."""

    port: int
    process: subprocess.Popen[bytes]
    seconds_to_ready: float

    def resident(self) -> float:
        """Return its resident memory in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS:"))

    def most_resident(self) -> float:
        """Return the most resident memory that it had since it started, in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM:"))

    def cpu(self) -> float:
        """Return the CPU time that its threads have taken, in seconds. Other programs on the machine hardly change it."""
        threads = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(thread.read_text(encoding="ascii").split()[0]) for thread in threads) / 1e9

    def stop(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait()


def free_port() -> int:
    """Return a port that is not in use."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def certificate(directory: Path) -> Iterator[ssl.SSLContext]:
    """Write a key pair for localhost and its CA into *directory*; yield a context that trusts it."""
    authority = trustme.CA()
    pair = authority.issue_cert("localhost", "127.0.0.1")
    authority.cert_pem.write_to_path(str(directory / "ca.crt"))
    pair.private_key_pem.write_to_path(str(directory / "tls.key"))
    pair.cert_chain_pems[0].write_to_path(str(directory / "tls.crt"))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    yield context


def ours(directory: Path, context: ssl.SSLContext, *options: str, port: int = 0) -> Process:
    """Start the webhook."""
    port = port or free_port()
    command = [sys.executable, "-m", "keeper_injector_webhook.cli", "serve", "--host", "127.0.0.1", "--port", str(port)]
    return _started([*command, "--certificates", str(directory), *options], port, context)


def constant(directory: Path, context: ssl.SSLContext, answer: dict[str, Any]) -> Process:
    """Start a webhook that always responds with *answer*."""
    port = free_port()
    return _started([sys.executable, "-c", CONSTANT, str(port), str(directory), json.dumps(answer)], port, context)


def api_server(directory: Path, context: ssl.SSLContext) -> Process:
    """Start the API server that another webhook needs."""
    port = free_port()
    return _started([sys.executable, "-c", API_SERVER, str(port), str(directory)], port, context)


def beside(command: str, directory: Path, context: ssl.SSLContext, api: int) -> Process:
    """Start another webhook.

    In *command*, {port} and {directory} stand for its port and the directory of its key pair, and {api} for the port of an API server.
    """
    port = free_port()
    words = shlex.split(command.format(port=port, directory=directory, api=api))
    return _started(words, port, context, any_answer=True)


def _started(command: list[str], port: int, context: ssl.SSLContext, *, any_answer: bool = False) -> Process:
    started = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **MALLOC}
    )
    while not ready(port, context, any_answer=any_answer):
        if process.poll() is not None or time.perf_counter() - started > 30:
            raise RuntimeError(f"{command[:4]} ended with {process.poll()}")
        time.sleep(0.01)
    return Process(port, process, time.perf_counter() - started)


def ready(port: int, context: ssl.SSLContext, *, any_answer: bool = False) -> bool:
    """Return whether the webhook is ready, as a kubelet checks it. With *any_answer*, its probe has another path."""
    connection = http.client.HTTPSConnection("localhost", port, context=context, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return any_answer or connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
