"""The ASGI application: ``/mutate`` for API servers, ``/healthz`` and ``/readyz`` for kubelets, ``/metrics`` for Prometheus.

This is where a review is timed, logged and counted; :mod:`keeper_injector_webhook.admission` only computes its answer.
"""

from __future__ import annotations

import difflib  # noqa: F401 - imported by keeper_injector_common.suggestions with the first unknown word, which is too late here
import json
import logging
import time
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from keeper_injector_common.records.templates import load_engine
from keeper_injector_webhook.admission import AnswerCache, answer_review, encode_review, errored
from keeper_injector_webhook.errors import ReviewError

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from keeper_injector_webhook.metrics import Metrics
    from keeper_injector_webhook.settings import Settings

log = logging.getLogger(__name__)
_MOST_VALUES = 100_000
"""Objects and lists in a review. An empty one takes 3 bytes in the body and 72 in memory; large pods have some thousands."""


def create_app(
    settings: Settings, metrics: Metrics, is_ready: Callable[[], bool], *, client_ca: bool = False
) -> ASGIApp:
    """Build the application, with its own :class:`AnswerCache`.

    *is_ready* returns False from SIGTERM on. With *client_ca*, reviews that arrive without TLS are rejected.
    """
    # The first review with a template would wait 0.3 s for it.
    load_engine()
    # Reviews bypass the framework, which would take a fifth of the time of a review (bench_serving).
    others = _framework(metrics, is_ready)
    cache = AnswerCache()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        send = send if is_ready() else _closing(send)
        if scope["type"] == "http" and scope["path"] == "/mutate" and scope["method"] == "POST":
            if client_ca and scope["scheme"] != "https":
                answer = _rejected(metrics, 403, "send reviews over TLS, with a client certificate")
            else:
                answer = _reviewed(await _read(receive), settings, metrics, cache)
            await _send_json(send, *answer)
        else:
            await others(scope, receive, send)

    return application


def _closing(send: Send) -> Send:
    """Wrap *send* so that each response closes its connection (RFC 9112, section 9.6).

    API servers keep connections to a pod that is terminating (kubernetes issue 127335). A request that they send while the
    connection is being closed is lost, and the creation of the pod under review fails.
    """

    async def send_and_close(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
        await send(message)

    return send_and_close


def _framework(metrics: Metrics, is_ready: Callable[[], bool]) -> Starlette:
    """Build the Starlette application that answers everything except reviews."""

    async def wrong_method(_request: Request) -> Response:
        raise HTTPException(405, "send an AdmissionReview with POST")

    async def health(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def ready(_request: Request) -> Response:
        return PlainTextResponse("ready\n") if is_ready() else PlainTextResponse("draining\n", 503)

    async def series(_request: Request) -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def http_error(_request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        detail = error.detail if isinstance(error, HTTPException) else "internal error"
        status, content = _rejected(metrics, status, detail)
        return Response(content, status, media_type="application/json")

    return Starlette(
        routes=[
            Route("/mutate", wrong_method),
            Route("/healthz", health),
            Route("/readyz", ready),
            Route("/metrics", series),
        ],
        exception_handlers={HTTPException: http_error},
    )


def _reviewed(body: bytes, settings: Settings, metrics: Metrics, cache: AnswerCache) -> tuple[int, bytes]:
    """Answer one review, log it and count it. Return the status and the content of the response."""
    if len(body) > _MOST_VALUES and body.count(b"{") + body.count(b"[") > _MOST_VALUES:
        return _rejected(metrics, 413, f"the review has more than {_MOST_VALUES:,} objects and lists; shorten the pod")
    started = time.perf_counter()
    try:
        result = answer_review(body, settings, cache)
        encoded = encode_review(result.review)
    except ReviewError as error:
        return _rejected(metrics, 400, str(error))
    except Exception:
        # A bug in the webhook. The API server gets an answer with its UID; the traceback goes to the log, never into the answer.
        log.exception("admission.failed")
        metrics.reviewed("error", "bug", 0.0)
        return 200, encode_review(errored(_uid(body), "keeper-injector: internal error, see the webhook's log"))
    seconds = time.perf_counter() - started
    metrics.reviewed(result.decision, result.reason, seconds, len(result.warnings))
    if log.isEnabledFor(logging.INFO):
        log.info("admission.reviewed", extra={**result.facts, "milliseconds": round(seconds * 1000, 3)})
    return 200, encoded


def _rejected(metrics: Metrics, status: int, detail: str) -> tuple[int, bytes]:
    """Count a request that is not answered with a review. Return the status and the content of the response."""
    metrics.rejected(status)
    return status, json.dumps({"error": detail}).encode()


async def _send_json(send: Send, status: int, content: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


async def _read(receive: Receive) -> bytes:
    """Return the body. The server has received it, and limits its size."""
    chunks = []
    more = True
    while more:
        message = await receive()
        chunks.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(chunks)


def _uid(body: bytes) -> str:
    """Return the UID of a review whose handling failed; ``parse_review`` has already checked it."""
    return str(json.loads(body)["request"]["uid"])
