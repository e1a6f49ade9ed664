"""The real server over TLS, as an API server meets it."""

from __future__ import annotations

import contextlib
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
from typing import Any

import attrs
import pytest
import trustme
from admission_reviews import body, pod

ASKED = {"inject": "true", "secret": "database-credentials"}


@attrs.frozen
class Server:
    """A running webhook."""

    port: int
    context: ssl.SSLContext
    directory: Path
    authority: trustme.CA
    process: subprocess.Popen[bytes]

    def request(self, method: str, path: str, content: bytes | None = None) -> tuple[int, bytes]:
        """Send one request; return status and body."""
        with contextlib.closing(self.connect()) as connection:
            connection.request(method, path, content, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()

    def connect(self) -> http.client.HTTPSConnection:
        """Return a connection that stays open."""
        return http.client.HTTPSConnection("localhost", self.port, context=self.context, timeout=10)

    def log(self) -> str:
        """Return what it has logged."""
        return (self.directory / "log").read_text(encoding="utf-8")

    def certificate(self) -> bytes:
        """Return the certificate that a new connection is shown."""
        connection = self.connect()
        connection.connect()
        assert isinstance(connection.sock, ssl.SSLSocket)
        shown = connection.sock.getpeercert(binary_form=True)
        connection.close()
        return shown or b""


def issue(authority: trustme.CA, directory: Path) -> None:
    """Write a new pair for localhost."""
    pair = authority.issue_cert("localhost")
    pair.private_key_pem.write_to_path(directory / "tls.key")
    pair.cert_chain_pems[0].write_to_path(directory / "tls.crt")


@pytest.fixture(name="server")
def _server(tmp_path: Path) -> Iterator[Server]:
    yield from running(tmp_path)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def running(tmp_path: Path, *more: str, client: trustme.LeafCert | None = None) -> Iterator[Server]:
    """Start a webhook with *more* arguments; *client* is what it is shown by its clients."""
    authority = trustme.CA()
    issue(authority, tmp_path)
    port = free_port()
    command = [
        *(sys.executable, "-m", "keeper_injector_webhook.cli", "serve", "--host", "127.0.0.1", "--port", str(port)),
        *("--certificates", str(tmp_path), "--drain", "0.5", "--poll", "0.2"),
        *more,
    ]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
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
    """Send a review; return its response."""
    status, answer = server.request("POST", "/mutate?timeout=5s", content)
    assert status == 200
    response: dict[str, Any] = json.loads(answer)["response"]
    return response


def test_reviews_and_probes(server: Server) -> None:
    """Pods are injected or denied, kubelets and Prometheus are answered, each review is one log line and one count."""
    assert review(server, body(pod(annotations=ASKED)))["patchType"] == "JSONPatch"
    denied = review(server, body(pod(annotations={**ASKED, "refresh-interval": "5x", "file-mode": "9"})))
    assert not denied["allowed"]
    assert "(1) keeper.security/file-mode: '9'" in denied["status"]["message"]
    assert (
        "(2) keeper.security/refresh-interval: '5x' is not a duration; write 30s, 5m or 1h30m"
        in denied["status"]["message"]
    )
    assert server.request("GET", "/healthz") == (200, b"ok\n")
    assert server.request("GET", "/readyz") == (200, b"ready\n")
    series = server.request("GET", "/metrics")[1].decode()
    assert 'keeper_injector_reviews_total{decision="inject",reason="asked"} 1.0' in series
    lines = [json.loads(line) for line in server.log().splitlines()]
    decisions = [line["decision"] for line in lines if line["event"] == "admission.reviewed"]
    assert decisions == ["inject", "deny"]
    assert "Traceback" not in server.log()


@pytest.mark.parametrize(
    ("method", "path", "content", "status"),
    [
        ("POST", "/mutate", b"not json", 400),
        ("POST", "/mutate", b"{}", 400),
        ("POST", "/mutate", b"[" * 100_000, 400),
        ("POST", "/mutate", b"\xff\xfe", 400),
        (
            "POST",
            "/mutate",
            body({"spec": {"containers": "none"}, "metadata": {"annotations": {"keeper.security/inject": "true"}}}),
            400,
        ),
        ("POST", "/mutate", b" " * 10_000_000, 413),
        ("POST", "/elsewhere", b"{}", 404),
        ("GET", "/mutate", None, 405),
    ],
    ids=["no JSON", "no review", "deep", "no UTF-8", "no pod", "10 MB", "wrong path", "wrong method"],
)
def test_what_is_no_review(server: Server, method: str, path: str, content: bytes | None, status: int) -> None:
    """An HTTP error with a sentence, never a traceback in the answer or for a user's mistake in the log."""
    found, answer = server.request(method, path, content)
    assert found == status
    assert json.loads(answer)["error"]
    assert b"Traceback" not in answer
    assert "Traceback" not in server.log()


def wait_for(condition: Any, seconds: float = 10.0) -> None:
    """Wait until *condition* holds."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "not in time"
        time.sleep(0.05)


def test_a_new_certificate_is_used_without_a_restart(server: Server) -> None:
    """Open connections go on, new ones see the new certificate, a broken pair changes nothing and is said."""
    connection = server.connect()
    connection.request("GET", "/healthz")
    assert connection.getresponse().read() == b"ok\n"
    before = server.certificate()
    (server.directory / "tls.crt").write_text("broken", encoding="utf-8")
    wait_for(lambda: "tls.reload_failed" in server.log())
    assert server.certificate() == before
    issue(server.authority, server.directory)
    wait_for(lambda: server.certificate() != before)
    connection.request("GET", "/healthz")
    assert connection.getresponse().read() == b"ok\n"
    connection.close()


def test_it_drains_before_it_stops(server: Server) -> None:
    """After SIGTERM readiness is off at once, requests are still answered, and the process ends by itself."""
    connection = server.connect()
    connection.request("GET", "/readyz")
    assert connection.getresponse().read() == b"ready\n"
    server.process.send_signal(signal.SIGTERM)
    wait_for(lambda: "webhook.draining" in server.log())
    connection.request("GET", "/readyz")
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (503, b"draining\n")
    connection.close()
    assert server.process.wait(10) == 0


def test_a_connection_that_stays_is_left_while_it_drains(server: Server) -> None:
    """An API server keeps one to a pod that is about to end: its next answer is told to be the last on it."""
    connection = server.connect()
    content = body(pod(annotations=ASKED))
    for state, closes in (("serving", None), ("draining", "close")):
        if state == "draining":
            server.process.send_signal(signal.SIGTERM)
            wait_for(lambda: "webhook.draining" in server.log())
        connection.request("POST", "/mutate", content, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("Connection")) == (200, closes)
        assert json.loads(answer.read())["response"]["allowed"] is True
    assert connection.sock is None
    assert server.process.wait(10) == 0


def test_clients_show_a_certificate(tmp_path: Path) -> None:
    """Whoever shows none, or a stranger's, is not heard, before and after a rotation; probes have a port of their own."""
    clients = trustme.CA()
    clients.cert_pem.write_to_path(tmp_path / "clients.crt")
    port = free_port()
    arguments = ("--client-ca", str(tmp_path / "clients.crt"), "--probe-port", str(port))
    for server in running(tmp_path, *arguments, client=clients.issue_cert("api-server")):
        stranger = ssl.create_default_context(cadata=server.authority.cert_pem.bytes().decode())
        trustme.CA().issue_cert("stranger").configure_cert(stranger)
        for _ in range(2):
            assert review(server, body(pod(annotations=ASKED)))["allowed"]
            for context in (ssl.create_default_context(cadata=server.authority.cert_pem.bytes().decode()), stranger):
                refused = attrs.evolve(server, context=context)
                with pytest.raises((ssl.SSLError, ConnectionError)):
                    refused.request("POST", "/mutate", body(pod(annotations=ASKED)))
            shown = server.certificate()
            issue(server.authority, tmp_path)
            until = time.monotonic() + 10
            while server.certificate() == shown and time.monotonic() < until:
                time.sleep(0.05)
            assert server.certificate() != shown
        plain = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        for path, status in (("/healthz", 200), ("/readyz", 200), ("/metrics", 200)):
            plain.request("GET", path)
            answer = plain.getresponse()
            assert (answer.status, bool(answer.read())) == (status, True)
        plain.request("POST", "/mutate", body(pod(annotations=ASKED)))
        answer = plain.getresponse()
        assert (answer.status, answer.read()) == (403, b'{"error":"send reviews over TLS, with a client certificate"}')
        plain.close()
