"""What hostile users and clients of a cluster send: one table of reviews and one of clients, for `soak_webhook`.

An input is added with one entry. A review is a function of a number, so that no two reviews are identical and no answer is cached.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

from load import Client

from keeper_injector_common.annotations.table import PREFIX

KIB = 1024
HEAD = b"POST /mutate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def review(number: int, annotations: dict[str, str], **spec: Any) -> bytes:
    """Return a review of a pod that asks for injection with these annotations."""
    asked = {f"{PREFIX}inject": "true", "number": str(number)}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "web-", "annotations": asked | annotations},
        "spec": {"containers": [{"name": "app", "image": "app:1"}], **spec},
    }
    request = {
        "uid": f"u-{number}",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "namespace": "flood",
        "operation": "CREATE",
        "object": pod,
    }
    return json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}).encode()


def containers(count: int, mounts: int = 0) -> list[dict[str, Any]]:
    """Return so many containers, each with so many mounts."""
    mounted = [{"name": "data", "mountPath": f"/data/{number}"} for number in range(mounts)]
    return [{"name": f"c{number}", "image": "app:1", "volumeMounts": mounted} for number in range(count)]


def secrets(count: int) -> dict[str, str]:
    """Return annotations for so many secrets in as many directories."""
    return {f"{PREFIX}secret-{number}": f"/app/{number}/x" for number in range(count)}


REVIEWS: dict[str, Callable[[int], bytes]] = {
    "600 secrets, 40 containers": lambda number: review(number, secrets(600), containers=containers(40)),
    "4,000 secrets": lambda number: review(number, secrets(4_000)),
    "16,000 secrets": lambda number: review(number, secrets(16_000)),
    "100 containers, 100 mounts, 500 directories": lambda number: review(
        number, secrets(500), containers=containers(100, 100)
    ),
    "a foreign annotation of 2.9 MiB": lambda number: review(number, {"foreign": "x" * 2900 * KIB}),
    "a title of 2 MiB": lambda number: review(number, {f"{PREFIX}secret": "a/" * 1024 * KIB}),
    "a duration of 4,000 parts": lambda number: review(number, {f"{PREFIX}config": "secrets: 1" + ":59" * 4_000}),
    "an alias bomb": lambda number: review(
        number,
        {
            f"{PREFIX}config": "a0: &a0 [x,x]\n"
            + "".join(f"a{level}: &a{level} [*a{level - 1}, *a{level - 1}]\n" for level in range(1, 40))
        },
    ),
    "a million tolerations": lambda number: review(number, {}, tolerations=[{}] * 800_000),
    "another kind": lambda number: review(number, {}).replace(b'"Pod"', b'"Eviction"'),
    "a subresource": lambda number: review(number, {}).replace(
        b'"namespace": "flood"', b'"subResource": "eviction", "namespace": "flood"'
    ),
    "names like that of a token's volume": lambda number: review(
        number,
        {f"{PREFIX}secret": "db"},
        volumes=[{"name": f"kube-api-access-{index:05}", "emptyDir": {}} for index in range(900)],
        containers=[{"name": f"kube-api-access-{index:05}", "image": "app:1"} for index in range(100)],
    ),
    "200 templates": lambda number: review(
        number,
        {
            f"{PREFIX}config": json.dumps(
                {
                    "secrets": [
                        {
                            "record": f"r{index}",
                            "path": f"/app/{index}",
                            "template": "{{ .a }}" * 20 + str(number + index),
                        }
                        for index in range(200)
                    ]
                }
            )
        },
    ),
    "not JSON": lambda number: b"[" * (100_000 + number % 10),
}
"""Bodies of reviews that a user of the cluster can cause, or that a client can send."""


Attack = Callable[[ssl.SSLContext, int], Awaitable[None]]


def request(body: bytes) -> bytes:
    """Return the HTTP request with a review."""
    return HEAD + f"Content-Length: {len(body)}\r\n\r\n".encode() + body


LARGE_REVIEW = request(review(0, {"foreign": "x" * 200 * KIB}, volumes=[{"name": "v" * 1000}] * 700))
"""A review of 900 KiB, which is read as a whole."""
LARGE_ANSWER = request(
    review(
        0,
        {f"{PREFIX}secret-{number}": f"/app/{number:0>240}/x" for number in range(100)},
        containers=containers(18),
    )
)
"""A review of 36 KiB whose answer has 800 KiB, close to the limit."""


async def held(
    context: ssl.SSLContext | None, port: int, count: int, sent: bytes, *, reads: bool = False, seconds: float = 3
) -> None:
    """Open so many connections, send the same on each, and hold them for some seconds; without *reads*, no response is read."""
    writers = []
    readers = []
    try:
        for _ in range(count):
            try:
                hostname = "localhost" if context else None
                connecting = asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=hostname)
                reader, writer = await asyncio.wait_for(connecting, 5)
            except (OSError, TimeoutError):
                continue
            writers.append(writer)
            writer.write(sent)
            if reads:
                readers.append(asyncio.create_task(_read_all(reader)))
        await asyncio.sleep(seconds)
    finally:
        for reading in readers:
            reading.cancel()
        for writer in writers:
            writer.transport.abort()


async def _read_all(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(OSError):
        while await reader.read(64 * KIB):
            pass


CLIENTS: dict[str, Attack] = {
    "48 half bodies": lambda context, port: held(
        context, port, 48, HEAD + b"Content-Length: 3000000\r\n\r\n" + b" " * 1500 * KIB
    ),
    "240 beginnings of bodies": lambda context, port: held(
        context, port, 240, HEAD + b"Content-Length: 3000000\r\n\r\n" + b" " * 100 * KIB
    ),
    "idle connections": lambda context, port: held(context, port, 400, b""),
    "half headers": lambda context, port: held(context, port, 100, HEAD),
    "handshakes that stop": lambda _context, port: held(None, port, 1000, b"\x16\x03\x01\x02\x00"),
    "connections without a handshake": lambda _context, port: held(None, port, 4000, b""),
    "endless chunks": lambda context, port: held(
        context, port, 8, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + (b"10000\r\n" + b" " * 0x10000 + b"\r\n") * 80
    ),
    "a length over the limit": lambda context, port: held(
        context, port, 8, HEAD + b"Content-Length: 99999999999\r\n\r\n" + b" " * 1000 * KIB
    ),
    "responses that nobody reads": lambda context, port: held(
        context, port, 4, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2000
    ),
    "large answers that nobody reads": lambda context, port: held(context, port, 240, LARGE_ANSWER, seconds=5),
    "large answers on connections that stay open": lambda context, port: held(
        context, port, 240, LARGE_ANSWER, reads=True, seconds=5
    ),
    "large reviews on connections that stay open": lambda context, port: held(
        context, port, 240, LARGE_REVIEW, reads=True, seconds=5
    ),
    "an upgrade to HTTP/2": lambda context, port: held(
        context,
        port,
        20,
        HEAD + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
    ),
    "HTTP/2 by prior knowledge": lambda context, port: held(context, port, 20, PREFACE),
}
"""Clients that can reach the port. Each runs for some seconds, beside the reviews."""


async def post(context: ssl.SSLContext, port: int, body: bytes) -> None:
    """Send one review on a new connection; any answer will do."""
    client = Client(context, lambda: port)
    try:
        await asyncio.wait_for(client.post(body), 30)
    finally:
        client.drop()
