"""Runs the application for one request that has arrived whole, and returns its response as the bytes to send."""

from __future__ import annotations

import itertools
import logging
import re
import time
from collections.abc import Awaitable, Callable
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import attrs
from hypercorn.protocol.events import Request
from hypercorn.protocol.h11 import STREAM_ID
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.typing import ConnectionState
from hypercorn.utils import build_and_validate_headers, suppress_body

if TYPE_CHECKING:
    from hypercorn.asyncio.worker_context import WorkerContext
    from hypercorn.config import Config
    from starlette.types import ASGIApp, Message

    from keeper_injector_webhook.serving.request_parser import WholeRequest

log = logging.getLogger(__name__)
CLOSE = (b"connection", b"close")
_LINE_END = re.compile(rb"[\r\n]")
_Address = tuple[str, int] | None


@attrs.frozen
class Response:
    """The response to one request."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes = attrs.field(repr=False)

    @property
    def closes(self) -> bool:
        """Whether the connection ends after it."""
        return CLOSE in self.headers

    def encode(self, config: Config) -> bytes:
        """Return the bytes to send."""
        lines = [b"%b: %b\r\n" % header for header in self.headers]
        return b"".join((_status_line(self.status), *lines, _more_headers(config, int(time.time())), self.body))


async def respond(
    app: ASGIApp,
    config: Config,
    context: WorkerContext,
    request: WholeRequest,
    *,
    tls: bool,
    client: _Address,
    server: _Address,
) -> Response:
    """Run *app* for *request*. Without a complete response, as after an exception, the response has the status 500."""
    exchange = _Exchange(app, config, context, _Application(request.body), tls, client, server, _ignore, STREAM_ID)
    await exchange.handle(
        Request(
            stream_id=STREAM_ID,
            headers=request.headers,
            http_version=request.version,
            method=request.method,
            raw_path=request.target,
            state=_NO_STATE,
        )
    )
    return exchange.result()


_NO_STATE = ConnectionState({})


class _Application:
    """Runs the application at once: Hypercorn's task groups start a task for each request, because it may not be complete."""

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body

    async def spawn_app(
        self, app: Any, _config: Config, scope: Any, send: Callable[[Any], Awaitable[None]]
    ) -> Callable[[object], Awaitable[None]]:
        """Run the application, and return a function that ignores further messages."""
        try:
            await app(scope, self._receive, send)
        except Exception:
            log.exception("request.failed")
        return _ignore

    async def _receive(self) -> Message:
        body, self._body = self._body, None
        if body is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": body, "more_body": False}


class _Exchange(HTTPStream):
    """Hypercorn's stream, which builds the scope. It collects the response; Hypercorn's passes each part of it through four events."""

    _status: int | None = None
    _complete = False

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._headers: list[tuple[bytes, bytes]] = []
        self._parts: list[bytes] = []

    async def app_send(self, message: Any) -> None:
        """Take a message of the application."""
        kind = message["type"]
        if kind == "http.response.start" and self._status is None:
            self._headers = build_and_validate_headers(message.get("headers", ()))
            if _LINE_END.search(b"".join(itertools.chain.from_iterable(self._headers))):
                raise ValueError("a header of the response has a line end")
            self._status = message["status"]
        elif kind == "http.response.body" and self._status is not None and not self._complete:
            self._parts.append(message.get("body", b""))
            self._complete = not message.get("more_body", False)
        else:
            raise RuntimeError(f"the application sent {kind} at the wrong time")

    def result(self) -> Response:
        """Return the response, with its length."""
        if self._status is None or not self._complete:
            return Response(HTTPStatus.INTERNAL_SERVER_ERROR, [(b"content-length", b"0"), CLOSE], b"")
        if suppress_body(self.scope["method"], self._status):
            return Response(self._status, self._headers, b"")
        body = b"".join(self._parts)
        if b"content-length" not in dict(self._headers):
            self._headers.append((b"content-length", b"%d" % len(body)))
        return Response(self._status, self._headers, body)


async def _ignore(_message: object) -> None:
    """Take a message that has no effect."""


@lru_cache(maxsize=64)
def _status_line(status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}\r\n".encode("ascii")


@lru_cache(maxsize=1)
def _more_headers(config: Config, _second: int) -> bytes:
    """Return the headers that Hypercorn adds to each response, such as the date, and the end of the header."""
    return b"".join(b"%b: %b\r\n" % header for header in config.response_headers("h11")) + b"\r\n"
