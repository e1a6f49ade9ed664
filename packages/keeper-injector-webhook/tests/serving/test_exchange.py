"""Requests and responses at the boundary of the application: what it is called with, and what is sent of what it answers."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from keeper_injector_webhook.serving.exchange import Response, respond
from keeper_injector_webhook.serving.request_parser import WholeRequest

START: Message = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}
BODY: Message = {"type": "http.response.body", "body": b"ok"}


def answered(app: ASGIApp, method: str = "POST") -> Response:
    """Return the response of *app*."""
    request = WholeRequest(method, b"/a%20b?c=d", "1.1", [(b"host", b"a")], b"content", True)
    client, server = ("192.0.2.1", 5), ("192.0.2.2", 443)
    return asyncio.run(respond(app, Config(), WorkerContext(None), request, tls=True, client=client, server=server))


def sending(*messages: Message) -> ASGIApp:
    """Return an application that sends these messages."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    return app


def test_what_the_application_gets() -> None:
    """The scope describes the request, the body is one message, and after it the client is gone."""
    seen: dict[str, Any] = {}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.update(scope)
        seen["messages"] = [await receive(), await receive()]
        await sending(START, BODY)(scope, receive, send)

    assert answered(app).status == 200
    expected = {
        "type": "http",
        "method": "POST",
        "scheme": "https",
        "path": "/a b",
        "raw_path": b"/a%20b",
        "query_string": b"c=d",
        "headers": [(b"host", b"a")],
        "client": ("192.0.2.1", 5),
        "server": ("192.0.2.2", 443),
        "messages": [{"type": "http.request", "body": b"content", "more_body": False}, {"type": "http.disconnect"}],
    }
    assert {key: seen[key] for key in expected} == expected


def test_what_is_sent() -> None:
    """The response has the status with its phrase, the headers of the application, a length and a date."""
    response = answered(sending(START, {**BODY, "more_body": True}, BODY))
    assert not response.closes
    pattern = rb"HTTP/1\.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 4\r\ndate: [^\r]+ GMT\r\n(server: [^\r]+\r\n)?\r\nokok"
    assert re.fullmatch(pattern, response.encode(Config()))
    assert response.encode(Config()).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_response_to_head_has_no_body() -> None:
    """The headers are those of the response to GET."""
    length = (b"content-length", b"2")
    response = answered(sending({**START, "headers": [length]}, BODY), "HEAD")
    assert (response.headers, response.body) == ([length], b"")


def test_a_response_without_a_length_gets_one() -> None:
    """The parts of a body are sent as one."""
    response = answered(sending({"type": "http.response.start", "status": 404}, {**BODY, "more_body": True}, BODY))
    assert response == Response(404, [(b"content-length", b"4")], b"okok")


async def _failing(scope: Scope, receive: Receive, send: Send) -> None:
    await sending(START, {**BODY, "more_body": True})(scope, receive, send)
    raise OSError("private")


FAILING: dict[str, ASGIApp] = {
    "nothing": sending(),
    "no body": sending(START),
    "half a body": sending(START, {**BODY, "more_body": True}),
    "no start": sending(BODY),
    "two starts": sending(START, START, BODY),
    "another message": sending({"type": "http.response.push"}),
    "a line end in a value": sending({**START, "headers": [(b"a", b"b\r\nc: d")]}, BODY),
    "a line end in a name": sending({**START, "headers": [(b"a\nb", b"c")]}, BODY),
    "a header of HTTP/2": sending({**START, "headers": [(b":status", b"b")]}, BODY),
    "an exception": _failing,
}


@pytest.mark.parametrize("name", FAILING)
def test_an_application_that_fails(name: str) -> None:
    """Whatever the application does wrong, the client gets status 500 and the connection ends, without details."""
    response = answered(FAILING[name])
    assert (response.status, response.closes, response.body) == (500, True, b"")
    assert response.encode(Config()).startswith(b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n")
