"""The HTTP routes: requests of Keeper's protocol, downloads and uploads of files, and injected faults."""

from __future__ import annotations

import asyncio
import contextlib
import email
import json
import os
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

import attrs
from cryptography.exceptions import InvalidTag
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from local_keeper import crypto
from local_keeper.operations import FILE_OPERATIONS, OPERATIONS, ApiError, perform
from local_keeper.request_log import LoggedRequest, RequestLog
from local_keeper.vault import Device, File, Json, Vault

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec
    from starlette.requests import Request

    from local_keeper.faults import Fault, Faults

MAXIMUM_BODY = 64 * 1024 * 1024
"""Bytes of a request; more is answered with 413."""
_CLIENT_VERSION = re.compile(r"[a-z]{2}\d+\.\d+\.\d+")


class BodyTooLongError(Exception):
    """The body of a request is longer than allowed."""


async def read_body(request: Request, limit: int) -> bytes:
    """Return a request's body. Raises BodyTooLongError for more than *limit* bytes, before it reads the rest."""
    if (length := request.headers.get("Content-Length", "0")).isdecimal() and int(length) > limit:
        raise BodyTooLongError
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise BodyTooLongError
    return bytes(body)


class CutConnectionError(Exception):
    """Raised in the middle of a response, so that the server closes the connection."""


@attrs.define
class ServerState:
    """The state that the routes share."""

    vault: Vault
    faults: Faults
    address: str
    key: ec.EllipticCurvePrivateKey = attrs.field(factory=crypto.new_key)
    key_id: int = 99
    requests: Counter[str] = attrs.field(factory=Counter)
    log: RequestLog = attrs.field(factory=RequestLog)

    def file_url(self, file: File) -> str:
        """Return the address of a file's content; like Keeper's, it needs no authentication."""
        return f"https://{self.address}/files/{file.uid}"


def create_app(state: ServerState, *more: Route) -> Starlette:
    """Build the application."""

    async def operation(request: Request) -> Response:
        name = request.path_params["operation"]
        body = await read_body(request, MAXIMUM_BODY)
        return await _served(
            state,
            name,
            lambda entry: _operation(state, name, request, body, entry),
            lambda entry: _claimed(state, request, body, entry),
        )

    async def download(request: Request) -> Response:
        return await _served(state, "file_download", lambda _: _download(state, request.path_params["uid"]))

    async def upload(request: Request) -> Response:
        content_type, body = request.headers.get("Content-Type", ""), await read_body(request, MAXIMUM_BODY)
        return await _served(state, "file_upload", lambda _: _upload(state, content_type, body))

    return Starlette(
        routes=[
            Route("/api/rest/sm/v1/{operation}", operation, methods=["POST"]),
            Route("/files/{uid}", download, methods=["GET"]),
            Route("/files/{uid}", upload, methods=["POST"]),
            *more,
        ],
        exception_handlers={BodyTooLongError: _too_long},
    )


async def _too_long(_request: Request, _error: Exception) -> Response:
    # The rest of the body is not read, so the connection cannot be used again.
    return JSONResponse(
        {"error": "bad_request", "message": f"the body is longer than {MAXIMUM_BODY} bytes"},
        413,
        {"Connection": "close"},
    )


def _parts(content_type: str, body: bytes) -> dict[str, bytes]:
    """Return the parts of a form (RFC 7578) by name; JavaScript's begins with an empty line, which a mail parser allows."""
    message = email.message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    parts = [part for part in message.walk() if not part.is_multipart()]
    return {
        str(part.get_param("name", header="Content-Disposition")): bytes(part.get_payload(decode=True))
        for part in parts
    }


async def _served(
    state: ServerState,
    name: str,
    serve: Callable[[LoggedRequest], Response],
    identify: Callable[[LoggedRequest], None] = lambda _: None,
) -> Response:
    state.requests[name if name in OPERATIONS or name in FILE_OPERATIONS else "unknown"] += 1
    entry = state.log.add(name)
    fault = state.faults.next(name)
    if fault is not None:
        entry.fault = fault.description
        identify(entry)

    def answer() -> Response:
        return _answered(lambda: serve(entry))

    response = answer() if fault is None else await _failing(fault, answer)
    entry.status = response.status_code
    return response


def _answered(serve: Callable[[], Response]) -> Response:
    try:
        return serve()
    except ApiError as error:
        return JSONResponse(error.body, error.status)


async def _failing(fault: Fault, answer: Callable[[], Response]) -> Response:
    match fault.kind:
        case "slow":
            await asyncio.sleep(fault.seconds)
            return answer()
        case "cut":
            return _cut(b"", 1)
        case "truncate":
            body = bytes(answer().body)
            return _cut(body[: len(body) // 2], len(body))
        case "corrupt":
            return Response(os.urandom(len(answer().body)))
        case "empty":
            return Response(b"")
        case _:
            pass
    if fault.body is not None:
        return JSONResponse(fault.body, fault.status, fault.headers)
    return Response(f"<html>{fault.status}</html>", fault.status, fault.headers, media_type="text/html")


def _cut(body: bytes, length: int) -> Response:
    async def stream() -> AsyncIterator[bytes]:
        yield body
        raise CutConnectionError

    return StreamingResponse(stream(), headers={"Content-Length": str(length)})


def _operation(state: ServerState, name: str, request: Request, body: bytes, entry: LoggedRequest) -> Response:
    key, payload = _opened(state, request, body)
    entry.client = payload["clientVersion"][:64]
    device = _authenticated(state, request, body, payload)
    entry.device = device.name
    if state.faults.too_many(f"{device.client_id} {name}"):
        raise ApiError("throttled", name, additional_info="throttled")
    answer = perform(name, state.vault, device, payload, state.file_url)
    return Response(b"" if answer is None else crypto.gcm(key, json.dumps(answer).encode()))


def _claimed(state: ServerState, request: Request, body: bytes, entry: LoggedRequest) -> None:
    """Log who a request says that it is from: a fault answers before the signature is verified."""
    with contextlib.suppress(ApiError):
        _, payload = _opened(state, request, body)
        entry.client = payload["clientVersion"][:64]
        if device := state.vault.devices.get(str(payload.get("clientId"))):
            entry.device = device.name


def _opened(state: ServerState, request: Request, body: bytes) -> tuple[bytes, Json]:
    if request.headers.get("PublicKeyId") != str(state.key_id):
        raise ApiError("key", "invalid key id", 401, key_id=state.key_id)
    try:
        key = crypto.ecies_decrypt(state.key, crypto.unb64(request.headers.get("TransmissionKey", "")))
        payload = json.loads(crypto.ungcm(key, body))
    except (ValueError, InvalidTag):
        raise ApiError("key", "invalid transmission key", 401, key_id=state.key_id) from None
    if not _CLIENT_VERSION.fullmatch(str(payload.get("clientVersion"))):
        raise ApiError("client_version", "invalid client version", result_code="invalid_client_version")
    return key, payload


def _authenticated(state: ServerState, request: Request, body: bytes, payload: Json) -> Device:
    device = state.vault.devices.get(str(payload.get("clientId")))
    if device is None or device.revoked:
        raise ApiError("access_denied", "Unable to validate application access")
    binding = device.public_key is None
    public = (
        crypto.public_key(crypto.unb64(payload["publicKey"]))
        if binding and payload.get("publicKey")
        else device.public_key
    )
    signature = crypto.unb64(request.headers.get("Authorization", "").removeprefix("Signature "))
    message = crypto.unb64(request.headers.get("TransmissionKey", "")) + body
    if public is None or not crypto.signed_by(public, signature, message):
        raise ApiError("access_denied", "Signature is invalid")
    device.public_key = public
    return device


def _download(state: ServerState, uid: str) -> Response:
    file = _file(state, uid)
    if file is None:
        return Response("<Error><Code>NoSuchKey</Code></Error>", 404, media_type="application/xml")
    content = file.sealed.part("content", file.key, file.content)
    return Response(content[:-1] + bytes([content[-1] ^ 1]) if file.damaged else content)


def _upload(state: ServerState, content_type: str, body: bytes) -> Response:
    """Store a file's content, and answer like Amazon S3: Go's SDK takes an empty answer for a failure."""
    try:
        parts = _parts(content_type, body)
        file = _file(state, parts["key"].decode())
        if file is None:
            return Response("<Error><Code>NoSuchKey</Code></Error>", 404, media_type="application/xml")
        file.content = crypto.ungcm(file.key, parts["file"])
        file.sealed.keep("content", file.key, file.content, parts["file"])
    except (KeyError, ValueError, InvalidTag):
        return Response("<Error><Code>MalformedPOSTRequest</Code></Error>", 400, media_type="application/xml")
    answer = f"<PostResponse><Location>{state.file_url(file)}</Location><Key>{file.uid}</Key></PostResponse>"
    return Response(f'<?xml version="1.0" encoding="UTF-8"?>\n{answer}\n', 201, media_type="application/xml")


def _file(state: ServerState, uid: str) -> File | None:
    with state.vault.lock:
        return next((file for record in state.vault.records.values() for file in record.files if file.uid == uid), None)
