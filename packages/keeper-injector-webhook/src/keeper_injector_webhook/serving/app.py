"""The HTTP side: ``/mutate`` for API servers, ``/healthz`` and ``/readyz`` for kubelets, ``/metrics`` for Prometheus."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from keeper_injector_webhook.admission import review
from keeper_injector_webhook.admission.cache import AnswerCache
from keeper_injector_webhook.admission.mutate import answer_review
from keeper_injector_webhook.errors import ReviewError

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from keeper_injector_webhook.metrics import Metrics
    from keeper_injector_webhook.settings import Settings

log = logging.getLogger(__name__)
LARGEST_BODY = 4 * 1024 * 1024
"""Bytes. API servers refuse objects of more than 3 MiB (apiserver, MaxRequestBodyBytes)."""
LONGEST_READ = 16 * LARGEST_BODY
"""Bytes of a body too large that are taken and thrown away, so that the client can read the answer."""


def create_app(
    settings: Settings, metrics: Metrics, is_ready: Callable[[], bool], *, client_ca: bool = False
) -> ASGIApp:
    """Build the application; it keeps answers for pods that are alike. With a *client_ca* no review is taken without TLS.

    Reviews go past the framework's routing, which takes a fifth of the time that one takes (bench_serving).
    """
    others = _framework(metrics, is_ready)
    memory = AnswerCache()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        send = send if is_ready() else _last(send)
        if scope["type"] == "http" and scope["path"] == "/mutate" and scope["method"] == "POST":
            if client_ca and scope["scheme"] != "https":
                await _rejected(metrics, 403, "reviews come over TLS, with a certificate")(scope, receive, send)
                return
            with metrics.in_flight.track_inprogress():
                body = await _read(receive)
                if body is not None:
                    await _reviewed(body, settings, metrics, memory)(scope, receive, send)
        else:
            await others(scope, receive, send)

    return application


def _last(send: Send) -> Send:
    """Return a *send* that makes each answer its connection's last (RFC 9112, 9.6).

    API servers keep connections to a pod that is about to end (kubernetes issue 127335): a request that crosses the end of
    one is lost, and so is the pod's creation.
    """

    async def closing(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
        await send(message)

    return closing


def _framework(metrics: Metrics, is_ready: Callable[[], bool]) -> Starlette:
    """Build what answers everything but reviews."""

    async def no_review(_request: Request) -> Response:
        raise HTTPException(405, "POST an AdmissionReview")

    async def health(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def ready(_request: Request) -> Response:
        return PlainTextResponse("ready\n") if is_ready() else PlainTextResponse("draining\n", 503)

    async def series(_request: Request) -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def http_error(_request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        detail = error.detail if isinstance(error, HTTPException) else "internal error"
        return _rejected(metrics, status, detail)

    return Starlette(
        routes=[
            Route("/mutate", no_review),
            Route("/healthz", health),
            Route("/readyz", ready),
            Route("/metrics", series),
        ],
        exception_handlers={HTTPException: http_error},
    )


def _reviewed(body: bytes, settings: Settings, metrics: Metrics, memory: AnswerCache) -> Response:
    if len(body) > LARGEST_BODY:
        return _rejected(metrics, 413, f"a body of more than {LARGEST_BODY >> 20} MiB; no pod is that large")
    try:
        return Response(review.encoded(answer_review(body, settings, metrics, memory)), media_type="application/json")
    except ReviewError as error:
        return _rejected(metrics, 400, str(error))
    except Exception:
        # Our own bug. The API server must get an answer with its UID, people a traceback in the log, never in the answer.
        log.exception("admission.failed")
        metrics.reviewed("error", "bug", 0.0)
        return JSONResponse(review.errored(_uid(body), "keeper-injector: internal error, see the webhook's log"))


def _rejected(metrics: Metrics, status: int, detail: str) -> Response:
    metrics.rejected(status)
    return JSONResponse({"error": detail}, status)


async def _read(receive: Receive) -> bytes | None:
    """Return the body, or the beginning of one that is too large, after taking it off the wire; None when the client left.

    An answer while the client still sends ends in a reset connection, and the client never learns why.
    """
    body = bytearray()
    size = 0
    more = True
    while more and size <= LONGEST_READ:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunk = message.get("body", b"")
        size += len(chunk)
        if len(body) <= LARGEST_BODY:
            body += chunk
        more = message.get("more_body", False)
    return bytes(body)


def _uid(body: bytes) -> str:
    """Return the UID of a review whose handling failed; it was readable, or the failure would be a ReviewError."""
    return str(json.loads(body)["request"]["uid"])
