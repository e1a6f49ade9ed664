"""Shutdown: the server drains before it stops."""

from __future__ import annotations

import json
import signal

from admission_reviews import body, pod
from webhook_server import Server, wait_for

ASKED = {"inject": "true", "secret": "database-credentials"}


def test_the_server_drains_before_it_stops(server: Server) -> None:
    """After SIGTERM the server is not ready, still answers requests, and then ends by itself."""
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


def test_a_draining_server_closes_kept_connections(server: Server) -> None:
    """While the server drains, its next response on a kept connection closes it."""
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
