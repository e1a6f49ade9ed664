"""HTTP/1.1 on one connection, without upgrades, and with a limit on the time and the size of each request.

Hypercorn's own protocol turns a connection into HTTP/2 or a WebSocket when a client asks for it, even if only ``http/1.1`` was
negotiated, and starts the application as soon as it has read a request's header. Here, a request reaches the application when it has
arrived whole (:mod:`.request_parser`), and its response is sent as a whole (:mod:`.exchange`).
"""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import TYPE_CHECKING

import attrs
from hypercorn.asyncio.worker_context import WorkerContext

from keeper_injector_webhook.serving.connection import Connection, Phase, log_lost
from keeper_injector_webhook.serving.connections import Connections
from keeper_injector_webhook.serving.exchange import CLOSE, Response, respond
from keeper_injector_webhook.serving.request_parser import InvalidRequestError, RequestParser, WholeRequest
from keeper_injector_webhook.serving.stream import CHUNK, ByteStream

if TYPE_CHECKING:
    from hypercorn.config import Config
    from starlette.types import ASGIApp

    from keeper_injector_webhook.metrics import Metrics

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@attrs.define(eq=False)
class Http1Server:
    """What all connections of one listener share."""

    app: ASGIApp
    config: Config
    connections: Connections
    metrics: Metrics
    context: WorkerContext = attrs.field(factory=lambda: WorkerContext(None))
    space: memoryview = attrs.field(factory=lambda: memoryview(bytearray(CHUNK)))
    """Where the event loop writes what arrives."""


async def serve_http1(server: Http1Server, connection: Connection, stream: ByteStream) -> None:
    """Answer the requests of one connection until one side ends it."""
    protocol = _Http1Protocol(server, connection, stream)
    connection.expired = protocol.expire
    connection.abort = stream.abort
    discarded = 0
    try:
        while discarded <= server.connections.limits.discarded_bytes and not protocol.closed:
            if connection.held and not protocol.refused:
                connection.left = protocol.parser.left
                await server.connections.wait_for_room(connection)
            data = await stream.read()
            if not data:
                break
            if protocol.refused:
                discarded += len(data)
                server.connections.release(connection)
            else:
                await protocol.receive(data)
    except OSError as error:
        log_lost(error)
    finally:
        connection.enter(Phase.CLOSING)
        # Without these cycles, what the client sent is freed now and not at the next garbage collection.
        connection.expired = connection.abort = None
        protocol.parser.close()
        if discarded > server.connections.limits.discarded_bytes:
            # The end of TLS would be waited for, and what this client goes on to send would be read until then.
            connection.cut()
        stream.close()


class _Http1Protocol:
    """Collects one request after the other, and answers each."""

    def __init__(self, server: Http1Server, connection: Connection, stream: ByteStream) -> None:
        self._server = server
        self._connection = connection
        self._stream = stream
        self.parser = RequestParser(server.config.h11_max_incomplete_size, server.connections.limits.body_bytes)
        self._tls = stream.get_extra_info("ssl_object") is not None
        self._client, self._address = _address(stream, "peername"), _address(stream, "sockname")
        self._responding = False
        self.closed = False
        """Whether the last response was sent."""
        self.refused = False
        """Whether the client got an error before it had sent its whole request; the rest is discarded."""

    async def receive(self, data: bytes) -> None:
        """Answer the requests that are complete with *data*."""
        try:
            for number, request in enumerate(self.parser.feed(data)):
                if number:
                    # A client that sends many requests at once takes turns with others.
                    await asyncio.sleep(0)
                    self._begin()
                await self._answer(request)
                if self.closed or self.refused:
                    return
        except InvalidRequestError as error:
            await self._refuse(error.status, str(error))
            return
        if self.parser.in_request:
            self._begin()
            if self.parser.expects_continue:
                await self._write(_CONTINUE)
                self._server.connections.release(self._connection, len(_CONTINUE))

    def _begin(self) -> None:
        if self._connection.phase is Phase.IDLE:
            self._connection.enter(Phase.REQUEST)

    async def _answer(self, request: WholeRequest) -> None:
        server = self._server
        self._connection.left = 0
        response = await respond(
            server.app,
            server.config,
            server.context,
            request,
            tls=self._tls,
            client=self._client,
            server=self._address,
        )
        if not response.closes and (
            not request.keep_alive
            or self._connection.requests + 1 >= server.config.keep_alive_max_requests
            or max(len(request.body), len(response.body)) > server.connections.limits.kept_alive_bytes
        ):
            response.headers.append(CLOSE)
        closes, encoded = response.closes, response.encode(server.config)
        # The body would stay in memory beside its copy for as long as the client does not read.
        del response
        self._responding = True
        await self._write(encoded)
        self._responding = False
        self.closed = closes
        # What has arrived of the next request still counts.
        server.connections.release(self._connection, request.size + len(encoded))
        self._connection.requests += 1
        self._connection.enter(Phase.IDLE)

    async def _write(self, data: bytes) -> None:
        """Send bytes, and count them until the client has taken them."""
        connections = self._server.connections
        connections.hold(self._connection, len(data))
        connections.begin_response(self._connection, len(data))
        # In parts, because TLS would encrypt all of it at once, into another copy.
        for start in range(0, len(data), CHUNK):
            self._stream.write(data[start : start + CHUNK])
            await self._stream.drain()
        connections.response_taken(self._connection)

    async def _refuse(self, status: int, detail: str) -> None:
        """Answer with an error and discard the rest of what the client sends."""
        self.refused = True
        self._server.connections.release(self._connection)
        self._connection.enter(Phase.CLOSING)
        await self._write(self._error(status, detail))

    def expire(self) -> None:
        """Answer with an error at the deadline of the request, without waiting for the client to read it."""
        self.refused = True
        if not self._responding:
            self._stream.write(self._error(HTTPStatus.REQUEST_TIMEOUT, "the request did not arrive in time"))
        self._stream.close()

    def _error(self, status: int, detail: str) -> bytes:
        """Return the response to a request that is refused."""
        self._server.metrics.rejected(status)
        content = json.dumps({"error": detail}).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(content)).encode()),
            CLOSE,
        ]
        return Response(status, headers, b"" if self.parser.is_head else content).encode(self._server.config)


def _address(stream: ByteStream, name: str) -> tuple[str, int] | None:
    address = stream.get_extra_info(name)
    return (str(address[0]), int(address[1])) if address else None
