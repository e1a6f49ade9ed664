"""The HTTP side: ``/mutate`` for API servers, ``/healthz`` and ``/readyz`` for kubelets, ``/metrics`` for Prometheus."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from keeper_injector_webhook import review
from keeper_injector_webhook.errors import ReviewError
from keeper_injector_webhook.mutate import mutate

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from keeper_injector_webhook.metrics import Metrics
    from keeper_injector_webhook.settings import Settings

log = logging.getLogger(__name__)
LARGEST_BODY = 4 * 1024 * 1024
"""Bytes. API servers refuse objects of more than 3 MiB (apiserver, MaxRequestBodyBytes)."""
LONGEST_READ = 16 * LARGEST_BODY
"""Bytes of a body too large that are taken and thrown away, so that the client can read the answer."""


def create_app(settings: Settings, metrics: Metrics, is_ready: Callable[[], bool]) -> Starlette:
    """Build the application; it keeps nothing between requests."""

    async def mutation(request: Request) -> Response:
        body = await _read(request)
        try:
            return JSONResponse(mutate(body, settings, metrics))
        except ReviewError as error:
            metrics.rejected(400)
            return JSONResponse({"error": str(error)}, 400)
        except Exception:
            # Our own bug. The API server must get an answer with its UID, people a traceback in the log, never in the answer.
            log.exception("admission.failed")
            metrics.reviewed("error", "bug", 0.0)
            return JSONResponse(review.errored(_uid(body), "keeper-injector: internal error, see the webhook's log"))

    async def health(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def ready(_request: Request) -> Response:
        return PlainTextResponse("ready\n") if is_ready() else PlainTextResponse("draining\n", 503)

    async def series(_request: Request) -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def http_error(_request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        metrics.rejected(status)
        detail = error.detail if isinstance(error, HTTPException) else "internal error"
        return JSONResponse({"error": detail}, status)

    return Starlette(
        routes=[
            Route("/mutate", mutation, methods=["POST"]),
            Route("/healthz", health),
            Route("/readyz", ready),
            Route("/metrics", series),
        ],
        exception_handlers={HTTPException: http_error},
    )


async def _read(request: Request) -> bytes:
    """Return the body; raises HTTPException 413 when it is too large, after taking it off the wire.

    An answer while the client still sends ends in a reset connection, and the client never learns why.
    """
    body = bytearray()
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > LONGEST_READ:
            break
        if size <= LARGEST_BODY:
            body += chunk
    if size > LARGEST_BODY:
        raise HTTPException(413, f"a body of more than {LARGEST_BODY >> 20} MiB; no pod is that large")
    return bytes(body)


def _uid(body: bytes) -> str:
    """Return the UID of a review whose handling failed; it was readable, or the failure would be a ReviewError."""
    return str(json.loads(body)["request"]["uid"])
