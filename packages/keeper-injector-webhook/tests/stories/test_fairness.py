"""A namespace that floods the webhook does not starve another one: the work of each review is bounded, and connections take turns."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from admission_reviews import body, pod
from slow_reviews import FAMILIES
from webhook_server import Server, running

WORST = {
    "templates for different sets of secrets": 160,
    "directories for many containers": 40,
    "secrets for many containers": 200,
    "a configuration of secrets": 200,
    "containers": 1000,
}
"""Families of reviews that take the longest, at the sizes at which they do."""
CONNECTIONS = 25
"""An API server keeps at most so many idle connections (client-go, transport/cache.go), and may open more."""
SECONDS = 5.0
"""How long the flood lasts, and after how long API servers give up (chart value timeoutSeconds)."""
ASKED = {"inject": "true", "secret": "db"}
MARK = "x" * 24


@pytest.fixture(name="server")
def _server(tmp_path: Path) -> Iterator[Server]:
    yield from running(tmp_path, "--log-level", "warning")


def of_namespace(content: bytes, namespace: str) -> bytes:
    """Return a review in *namespace*, with a mark that makes it differ from others, so that no answer comes from the cache."""
    review = json.loads(content)
    review["request"]["namespace"] = namespace
    review["request"]["object"]["metadata"]["annotations"]["number"] = MARK
    return json.dumps(review).encode()


@attrs.define
class Counts:
    """What became of the reviews of one namespace."""

    seconds: list[float] = attrs.field(factory=list)
    failures: list[str] = attrs.field(factory=list)
    _lock: threading.Lock = attrs.field(factory=threading.Lock)

    def send(self, server: Server, content: bytes, until: float, pause: float, keep: bool) -> None:
        """Send the review again and again until a time, on one connection or on a new one for each."""
        number = 0
        with contextlib.closing(server.connect()) as connection:
            while time.monotonic() < until:
                number += 1
                mark = f"{threading.get_ident()}-{number}".zfill(len(MARK)).encode()
                started = time.monotonic()
                try:
                    varied = content.replace(MARK.encode(), mark)
                    connection.request("POST", "/mutate", varied, {"Content-Type": "application/json"})
                    answer = connection.getresponse()
                    response = json.loads(answer.read())["response"]
                    failure = "" if response["allowed"] else response["status"]["message"]
                except (OSError, ValueError, KeyError) as error:
                    failure = repr(error)
                    connection.close()
                if not keep:
                    connection.close()
                with self._lock:
                    self.seconds.append(time.monotonic() - started)
                    self.failures += [failure] if failure else []
                time.sleep(pause)


def test_a_flood_of_the_worst_reviews_delays_others_but_no_review_fails(server: Server) -> None:
    """While 25 connections send the slowest reviews of one namespace, each review of another one is answered in time."""
    flood, normal = Counts(), Counts()
    worst = [of_namespace(FAMILIES[name](size), "flood") for name, size in WORST.items()]
    ordinary = of_namespace(body(pod(annotations=ASKED)), "shop")
    until = time.monotonic() + SECONDS
    threads = [
        *(
            threading.Thread(target=flood.send, args=(server, worst[number % len(worst)], until, 0.0, True))
            for number in range(CONNECTIONS)
        ),
        *(threading.Thread(target=normal.send, args=(server, ordinary, until, 0.1, keep)) for keep in (True, False)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert normal.failures == []
    assert max(normal.seconds) < SECONDS
    assert len(normal.seconds) >= 6
    # The flood was one: each of its connections had several reviews answered.
    assert len(flood.seconds) > 3 * CONNECTIONS
