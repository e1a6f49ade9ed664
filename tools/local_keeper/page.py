"""The web page: its own listener on the loopback address, with protection from other web sites.

A browser sends requests of any web site to loopback addresses. So the page answers only if the ``Host`` is a loopback name (a
DNS name that an attacker points here is not one), and its commands need the origin of the page and a token that only the page holds.
The page has no password: everyone who can connect to the loopback address of this machine can use it.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from importlib import resources
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local_keeper import control
from local_keeper.app import BodyTooLongError, read_body
from local_keeper.view import values, view

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from local_keeper.server import LocalKeeper
    from local_keeper.vault import Json

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
TOKEN_HEADER = "X-Local-Keeper-Token"  # noqa: S105 - the name of a header
MAXIMUM_BODY = 64 * 1024
"""Bytes of a command; more is answered with 413."""
MAXIMUM_WAITING = 16
"""Pages that wait for a change at one time; more are answered with 503 and ask again."""
WAIT, CHECK = 20.0, 0.2
"""Seconds until a page is answered without a change, and between two checks for one."""
_ORDERS = frozenset({"clear", "fault", "renew"})
"""Commands of :mod:`local_keeper.control` that the page may run. It gets no configurations and no tokens."""
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_FILES = {"/page.css": "text/css", "/page.js": "text/javascript"}

Command = Callable[[dict[str, Any]], Awaitable[Any]]


class _BadRequestError(Exception):
    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def create_page(keeper: LocalKeeper) -> Starlette:
    """Build the application that serves the page of *keeper*."""
    page = _Page(keeper)
    commands: Mapping[str, Command] = {
        "/api/view": page.wait_for_change,
        "/api/values": page.values,
        "/api/change": page.change,
        "/api/do": page.do,
    }
    return Starlette(
        routes=[
            Route("/", page.start, methods=["GET"]),
            *(Route(path, page.file, methods=["GET"]) for path in _FILES),
            *(Route(path, page.command(command), methods=["POST"]) for path, command in commands.items()),
        ],
        middleware=[Middleware(_LoopbackOnly)],
    )


class _LoopbackOnly:
    """Reject a request for another host name or of another site, and add the headers to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        if scope["type"] != "http":  # lifespan; a WebSocket has no route
            await self._app(scope, receive, send)
        elif problem := _foreign(Request(scope)):
            await JSONResponse({"error": problem}, 403)(scope, receive, send_with_headers)
        else:
            await self._app(scope, receive, send_with_headers)


def _foreign(request: Request) -> str:
    """Say why a request is not one of the page or of a person who opens it; empty if it may be answered."""
    hosts, origins = request.headers.getlist("host"), request.headers.getlist("origin")
    if len(hosts) != 1 or _host_name(hosts[0]) not in LOOPBACK_NAMES:
        return "the Host is not a loopback name; open http://127.0.0.1 with the port that local-keeper page prints"
    if any(origin != f"http://{hosts[0]}" for origin in origins) or len(origins) > 1:
        return "the Origin is another web site"
    if request.headers.get("sec-fetch-site", "none") not in {"none", "same-origin"} and request.url.path != "/":
        return "the request comes from another web site"
    return ""


def _host_name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


class _Page:
    def __init__(self, keeper: LocalKeeper) -> None:
        self._keeper = keeper
        self._token = secrets.token_urlsafe(32)
        self._waiting = 0

    async def start(self, _request: Request) -> Response:
        text = _web("index.html").replace("{{token}}", self._token)
        return Response(text, media_type="text/html")

    async def file(self, request: Request) -> Response:
        return Response(_web(request.url.path[1:]), media_type=_FILES[request.url.path])

    def command(self, run: Command) -> Callable[[Request], Awaitable[Response]]:
        """Return a handler that checks the token and the body, and answers mistakes with a sentence."""

        async def handle(request: Request) -> Response:
            try:
                return JSONResponse(await run(await self._given(request)))
            except _BadRequestError as error:
                return JSONResponse({"error": str(error)}, error.status)
            except KeyError as error:
                return JSONResponse({"error": str(error.args[0])}, 400)
            except (TypeError, ValueError, RecursionError) as error:
                return JSONResponse({"error": str(error)}, 400)
            except ClientDisconnect:
                return Response(status_code=400)

        return handle

    async def _given(self, request: Request) -> dict[str, Any]:
        token = request.headers.get(TOKEN_HEADER, "")
        if not hmac.compare_digest(token.encode(), self._token.encode()):
            raise _BadRequestError("the token is not this server's; reload the page", 403)
        if request.headers.get("content-type") != "application/json":
            raise _BadRequestError("the body is not JSON", 415)
        try:
            given = json.loads(await read_body(request, MAXIMUM_BODY))
        except BodyTooLongError:
            raise _BadRequestError(f"the body is longer than {MAXIMUM_BODY} bytes", 413) from None
        if not isinstance(given, dict):
            raise TypeError("the body is not an object")
        return given

    async def wait_for_change(self, given: dict[str, Any]) -> Json:
        """Answer when the view is not the one that the page has seen, or after :data:`WAIT` seconds."""
        if self._waiting >= MAXIMUM_WAITING:
            raise _BadRequestError(f"{MAXIMUM_WAITING} pages are open; close one", 503)
        self._waiting += 1
        try:
            seen, shown = self._view()
            for _ in range(round(WAIT / CHECK)):
                if seen != given.get("seen"):
                    break
                await asyncio.sleep(CHECK)
                seen, shown = self._view()
            return {"seen": seen, "view": shown}
        finally:
            self._waiting -= 1

    def _view(self) -> tuple[str, Json]:
        shown = view(self._keeper.state)
        return hashlib.sha256(json.dumps(shown).encode()).hexdigest(), shown

    async def values(self, given: dict[str, Any]) -> Json:
        return values(self._keeper.vault, str(given["record"]))

    async def change(self, given: dict[str, Any]) -> Json:
        new = given["values"]
        if not isinstance(new, list):
            raise TypeError('the values are not a list; write JSON such as ["a", "b"]')
        self._keeper.vault.change_field(
            str(given["record"]), str(given["section"]), int(given["index"]), new, revision=int(given["revision"])
        )
        return {}

    async def do(self, given: dict[str, Any]) -> Json:
        if given["do"] == "switch-off":
            self._keeper.state.faults.disarm(int(given["with"]["number"]))
            return {}
        if given["do"] not in _ORDERS:
            raise KeyError(f"unknown command {str(given['do'])[:80]!r}")
        control.perform(self._keeper, given["do"], given.get("with", {}))
        return {}


def _web(name: str) -> str:
    return resources.files("local_keeper").joinpath("web", name).read_text(encoding="utf-8")
