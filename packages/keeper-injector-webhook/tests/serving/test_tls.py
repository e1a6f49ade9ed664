"""The serving certificate and the clients' certificates."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from pathlib import Path

import attrs
import pytest
import trustme
from admission_reviews import body, pod
from webhook_server import Server, free_port, issue, review, running, wait_for

ASKED = {"inject": "true", "secret": "database-credentials"}


def test_a_new_certificate_is_used_without_a_restart(server: Server) -> None:
    """New connections get a new certificate and open ones continue. An invalid key pair is logged and ignored."""
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


def test_clients_must_present_a_certificate(tmp_path: Path) -> None:
    """A client without a certificate of the CA is rejected, before and after a rotation; probes have a port without TLS."""
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
        assert answer.status == 403
        assert json.loads(answer.read()) == {"error": "send reviews over TLS, with a client certificate"}
        plain.close()
