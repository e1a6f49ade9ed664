"""HTTP/1.1 on one connection: Hypercorn's protocol without its upgrades, with a limit on the time and the size of each request.

Hypercorn turns a connection into HTTP/2 or a WebSocket when a client asks for it, even if only ``http/1.1`` was negotiated, and
starts the application as soon as it has read a request's header. Here, a request reaches the application when it has arrived whole.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import attrs
import h11
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.events import Body, EndBody, Request
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.typing import ConnectionState

from keeper_injector_webhook.serving.connections import Connection, Connections, Phase

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hypercorn.config import Config
    from starlette.types import ASGIApp, Message

    from keeper_injector_webhook.metrics import Metrics

log = logging.getLogger(__name__)
_CHUNK = 64 * 1024


@attrs.define(eq=False)
class Http1Server:
    """What all connections of one listener share."""

    app: ASGIApp
    config: Config
    connections: Connections
    metrics: Metrics
    context: WorkerContext = attrs.field(factory=lambda: WorkerContext(None))


class CountingReader(asyncio.StreamReader):
    """A stream whose bytes are counted as soon as they arrive, and not only when they are read."""

    def __init__(self, connections: Connections, connection: Connection) -> None:
        super().__init__(limit=_CHUNK // 4)
        self._connections = connections
        self._connection = connection

    def feed_data(self, data: Any) -> None:
        """Take data from the transport."""
        if self._connection.phase in {Phase.HANDSHAKE, Phase.IDLE}:
            self._connection.enter(Phase.REQUEST)
        self._connections.hold(self._connection, len(data))
        super().feed_data(data)


async def serve_http1(
    server: Http1Server, connection: Connection, reader: CountingReader, writer: asyncio.StreamWriter
) -> None:
    """Answer the requests of one connection until one side ends it."""
    link = _Link(server, connection, writer)
    protocol = _Http1Protocol(server, link, tls=writer.get_extra_info("ssl_object") is not None)
    connection.expired = protocol.expire
    # After each response, the server waits until the client has taken it, so that unread responses do not pile up.
    writer.transport.set_write_buffer_limits(high=1, low=0)
    discarded = 0
    try:
        while discarded <= server.connections.limits.discarded_bytes and not link.closed:
            if connection.held:
                await server.connections.wait_for_room(connection)
            data = await reader.read(_CHUNK)
            if not data:
                break
            if protocol.refused:
                discarded += len(data)
                server.connections.release(connection)
            else:
                await protocol.handle(RawData(data))
    except OSError as error:
        log.debug("connection.lost", extra={"cause": type(error).__name__})
    finally:
        connection.enter(Phase.CLOSING)
        # Without this cycle, what the client sent is freed now and not at the next garbage collection.
        connection.expired = None
        if discarded > server.connections.limits.discarded_bytes:
            # The end of TLS would be waited for, and what this client goes on to send would be read until then.
            connection.cut()
        writer.close()


@attrs.define(eq=False)
class _Link:
    """Where the protocol sends its events: to the client, and to the register of connections."""

    server: Http1Server
    connection: Connection
    writer: asyncio.StreamWriter
    closed: bool = False
    _response: bytearray = attrs.field(factory=bytearray)

    async def send(self, event: Event) -> None:
        """Collect the parts of a response, and send it when it is complete, in one TLS record."""
        if isinstance(event, RawData):
            self._response += event.data
            return
        if self._response:
            response, self._response = bytes(self._response), bytearray()
            await self.write(response)
        if isinstance(event, Closed):
            self.closed = True
        elif isinstance(event, Updated) and event.idle:
            self.server.connections.release(self.connection)
            self.connection.requests += 1
            self.connection.enter(Phase.IDLE)

    async def write(self, data: bytes) -> None:
        """Send bytes, and count them until the client has taken them."""
        self.server.connections.hold(self.connection, len(data))
        self.writer.write(data)
        await self.writer.drain()


class _Http1Protocol(H11Protocol):
    """Collects one request after the other, and hands each to the application."""

    connection: h11.Connection

    def __init__(self, server: Http1Server, link: _Link, *, tls: bool) -> None:
        super().__init__(
            server.app,  # type: ignore[arg-type] # only handed to _Application
            server.config,
            server.context,
            _Application(server.app),  # type: ignore[arg-type] # the part of a task group that streams use
            ConnectionState({}),
            tls,
            _address(link.writer, "peername"),
            _address(link.writer, "sockname"),
            link.send,
        )
        self._link = link
        self._metrics = server.metrics
        self._most = server.connections.limits.body_bytes
        self._request: h11.Request | None = None
        self._body = bytearray()
        self.refused = False
        """Whether the client got an error before it had sent its whole request; the rest is discarded."""

    async def _handle_events(self) -> None:
        while not self.refused:
            if self.connection.they_are_waiting_for_100_continue:
                await self._link.write(
                    self.connection.send(h11.InformationalResponse(status_code=100, headers=[])) or b""
                )
            try:
                event = self.connection.next_event()
            except h11.RemoteProtocolError as error:
                await self._refuse(error.error_status_hint, str(error))
                return
            if isinstance(event, h11.Request):
                await self._begin(event)
            elif isinstance(event, h11.Data):
                self._body += event.data
                if len(self._body) > self._most:
                    await self._refuse(413, self._too_large())
            elif isinstance(event, h11.EndOfMessage) and self._request is not None:
                await self._answer(self._request)
                if self.connection.trailing_data[0]:
                    # A client that sends many requests at once takes turns with others.
                    await asyncio.sleep(0)
            else:
                return

    async def _begin(self, request: h11.Request) -> None:
        self._request = request
        self._body = bytearray()
        if self._link.connection.phase is Phase.IDLE:
            self._link.connection.enter(Phase.REQUEST)
        length = next((int(value) for name, value in request.headers if name == b"content-length"), 0)
        if request.http_version not in {b"1.0", b"1.1"}:
            await self._refuse(505, "send HTTP/1.1; this server speaks no other version")
        elif length > self._most:
            await self._refuse(413, self._too_large())

    async def _answer(self, request: h11.Request) -> None:
        body, self._body, self._request = bytes(self._body), bytearray(), None
        # A request to upgrade to another protocol is answered as if it had not asked (RFC 9110, section 7.8).
        stream = HTTPStream(
            self.app,
            self.config,
            self.context,
            self.task_group,
            self.ssl,
            self.client,
            self.server,
            self.stream_send,
            STREAM_ID,
        )
        self.stream = stream
        await stream.handle(
            Request(
                stream_id=STREAM_ID,
                headers=list(request.headers),
                http_version=request.http_version.decode(),
                method=request.method.decode("ascii").upper(),
                raw_path=request.target,
                state=self.connection_state,
            )
        )
        if body:
            await stream.handle(Body(stream_id=STREAM_ID, data=body))
        await stream.handle(EndBody(stream_id=STREAM_ID))
        # The stream and this function refer to each other. As garbage of each connection, with its TLS objects and buffers, they
        # would wait for one long collection.
        stream.app_put = None  # type: ignore[assignment] # as Hypercorn itself allows
        self.keep_alive_requests += 1

    async def _refuse(self, status: int, detail: str) -> None:
        """Answer with an error and discard the rest of what the client sends."""
        self.refused = True
        self._body = bytearray()
        self._link.server.connections.release(self._link.connection)
        self._link.connection.enter(Phase.CLOSING)
        if data := self._error(status, detail):
            await self._link.write(data)

    def expire(self) -> None:
        """Answer with an error at the deadline of the request, without waiting for the client to read it."""
        self.refused = True
        self._body = bytearray()
        if data := self._error(HTTPStatus.REQUEST_TIMEOUT, "the request did not arrive in time"):
            self._link.writer.write(data)
        self._link.writer.close()

    def _error(self, status: int, detail: str) -> bytes:
        """Return the response of a request that is refused; empty if a response has begun."""
        self._metrics.rejected(status)
        if self.connection.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            return b""
        content = json.dumps({"error": detail}).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(content)).encode()),
            (b"connection", b"close"),
        ]
        head = self.connection.send(h11.Response(status_code=status, headers=headers)) or b""
        return head if self._request is not None and self._request.method == b"HEAD" else head + content

    def _too_large(self) -> str:
        return f"the body is larger than {self._most >> 10} KiB; API servers send no such review"


class _Application:
    """Runs the application in the task of the connection, since the request is complete: Hypercorn would start a task for each."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def spawn_app(
        self, _app: object, _config: Config, scope: Any, send: Callable[[Any], Awaitable[None]]
    ) -> Callable[[Any], Awaitable[None]]:
        """Return the function that takes the messages of the request; the last one runs the application."""
        messages: deque[Message] = deque()

        async def receive() -> Message:
            return messages.popleft() if messages else {"type": "http.disconnect"}

        async def put(message: Message) -> None:
            if message["type"] != "http.request":
                return
            messages.append(message)
            if not message["more_body"]:
                await self._run(scope, receive, send)

        return put

    async def _run(
        self, scope: Any, receive: Callable[[], Awaitable[Message]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        try:
            await self._app(scope, receive, send)
        except OSError:
            raise
        except Exception:
            log.exception("request.failed")
        finally:
            await send(None)


def _address(writer: asyncio.StreamWriter, name: str) -> tuple[str, int] | None:
    address = writer.get_extra_info(name)
    return (str(address[0]), int(address[1])) if address else None
