"""The HTTP interface: reviews, probes, metrics, and requests that are not reviews."""

from __future__ import annotations

import json

import pytest
from admission_reviews import body, pod
from webhook_server import Server, review

ASKED = {"inject": "true", "secret": "database-credentials"}


def counters(server: Server) -> set[str]:
    """Return the names of all counters with their labels."""
    lines = server.request("GET", "/metrics")[1].decode().splitlines()
    return {line.rpartition(" ")[0] for line in lines if line.partition("{")[0].partition(" ")[0].endswith("_total")}


def test_reviews_and_probes(server: Server) -> None:
    """Pods are injected or denied, probes and metrics are answered, and each review is logged and counted once."""
    before = counters(server)
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
    assert counters(server) == before
    lines = [json.loads(line) for line in server.log().splitlines()]
    decisions = [line["decision"] for line in lines if line["event"] == "admission.reviewed"]
    assert decisions == ["inject", "deny"]
    assert "Traceback" not in server.log()


def test_warnings_are_logged_and_counted(server: Server) -> None:
    """Nobody sees the warnings of a pod that a ReplicaSet creates, so they are in the log and in the metrics too."""
    asked = {**ASKED, "secert": "a", **{f"unknown-{number}": "x" for number in range(20)}}
    answer = review(server, body(pod(annotations=asked)))
    assert len(answer["warnings"]) == 21
    line = next(line for line in map(json.loads, server.log().splitlines()) if line["event"] == "admission.reviewed")
    assert line["warnings"][0].startswith("keeper.security/secert: unknown annotation, ignored; did you mean")
    assert line["warnings"][10:] == ["and 11 more"]
    assert "keeper_injector_warnings_total 21.0" in server.request("GET", "/metrics")[1].decode()


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
        ("POST", "/mutate", body(pod(tolerations=[{}] * 200_000)), 413),
        ("POST", "/elsewhere", b"{}", 404),
        ("GET", "/mutate", None, 405),
    ],
    ids=["no JSON", "no review", "deep", "no UTF-8", "no pod", "10 MB", "many objects", "wrong path", "wrong method"],
)
def test_what_is_not_a_review_is_an_http_error(
    server: Server, method: str, path: str, content: bytes | None, status: int
) -> None:
    """A request that is not a review gets an HTTP error with a message, and no traceback in the response or the log."""
    before = counters(server)
    found, answer = server.request(method, path, content)
    assert found == status
    assert counters(server) == before
    assert json.loads(answer)["error"]
    assert b"Traceback" not in answer
    assert "Traceback" not in server.log()
