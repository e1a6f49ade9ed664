"""Parses the requests of one connection with llhttp, the parser of Node.js, and returns each when it has arrived whole; no I/O.

llhttp rejects what servers and proxies are known to understand differently: bare line feeds, folded headers, two lengths, a length beside
chunks. It has no limits, and ignores some rules of HTTP/1.1; these are checked here.
"""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus

import attrs
import httptools

_MOST_HEADERS = 100
"""API servers send seven. Each takes 150 bytes in memory beside its text."""
_END_OF_HEAD = b"\r\n\r\n"
_VERSIONS = frozenset({"1.0", "1.1"})


@attrs.frozen
class WholeRequest:
    """One request with its body."""

    method: str
    target: bytes
    version: str
    """``1.0`` or ``1.1``."""
    headers: list[tuple[bytes, bytes]]
    """Names are in lower case. Trailers are not among them."""
    body: bytes = attrs.field(repr=False)
    keep_alive: bool
    """Whether the client wants to send another request on the same connection."""
    size: int = attrs.field(default=0, eq=False)
    """Bytes that arrived for it, with the header and the framing of chunks."""


class InvalidRequestError(Exception):
    """A request that is refused; its connection cannot be used any further."""

    def __init__(self, status: int, detail: str) -> None:
        """Refuse it with an HTTP *status*."""
        super().__init__(detail)
        self.status = status


class RequestParser:
    """A parser of the requests that one client sends one after the other."""

    def __init__(self, most_head: int, most_body: int) -> None:
        """Create a parser; the limits are in bytes."""
        self._most_head = most_head
        self._most_body = most_body
        self._llhttp = httptools.HttpRequestParser(self)
        self._requests: list[WholeRequest] = []
        self._reset()

    def _reset(self) -> None:
        self._method = b""
        """Empty until the header is complete."""
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = bytearray()
        self._head = 0
        """Bytes of the header so far."""
        self._left: int | None = None
        """Bytes of the body that have not arrived; None if that is not known."""
        self._wire = 0
        """Bytes of the body so far, with the framing of its chunks."""
        self._header_count = 0
        self._tail = b""
        """The last bytes of a header or of chunks, of which more will arrive."""
        self._has_begun = False
        self._has_head = False
        self._expects = False

    def close(self) -> None:
        """Free the parser now. It and llhttp refer to each other, and would wait for the next garbage collection."""
        del self._llhttp

    @property
    def in_request(self) -> bool:
        """Whether a request has begun to arrive."""
        return self._has_begun

    @property
    def left(self) -> int:
        """The bytes that the current request still lacks; the most that are possible if it does not say its length."""
        return max(self._most_body - self._wire, 0) if self._left is None else self._left

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits for ``100 Continue`` before it sends the body (RFC 9110, section 10.1.1)."""
        return self._expects and not self._wire

    @property
    def is_head(self) -> bool:
        """Whether the response of the current request must not have a body."""
        return self._method == b"HEAD"

    def feed(self, data: bytes) -> Iterator[WholeRequest]:
        """Parse *data* and yield each request that is complete. Raises :class:`InvalidRequestError`.

        Nothing that follows a request is parsed before the next one is asked for, so that a client that sends many at once does not
        fill the memory with them. What follows the last request of a connection is ignored.
        """
        view = memoryview(data)
        position = 0
        failure = None
        while position < len(data) and failure is None:
            try:
                position += self._parse(view[position : self._end_of_part(data, position)])
            except InvalidRequestError as error:
                failure = error
            while self._requests:
                request = self._requests.pop(0)
                yield request
                if not request.keep_alive:
                    return
        if failure is not None:
            # The connection stays open for a while, and its bytes are not counted any more: eight such bodies held 32 MiB.
            self._body = bytearray()
            self._llhttp = httptools.HttpRequestParser(self)  # the old one keeps the beginning of a header or trailer
            try:
                raise failure
            finally:
                # Its traceback refers to this frame: without the cycle, the parser is freed with its connection.
                del failure

    def _end_of_part(self, data: bytes, position: int) -> int:
        """Return where to stop: at the end of the body, or of what may be a header."""
        if self._left is not None:
            return position + self._left
        if self._tail:
            end = (self._tail + data[position : position + len(_END_OF_HEAD)]).find(_END_OF_HEAD)
            if end >= 0:
                return position + end + len(_END_OF_HEAD) - len(self._tail)
        end = data.find(_END_OF_HEAD, position)
        return len(data) if end < 0 else end + len(_END_OF_HEAD)

    def _parse(self, part: memoryview) -> int:
        """Parse *part*, and return the number of bytes that belong to HTTP."""
        self._count(len(part))
        if self._left is None:
            self._tail = (self._tail + part[1 - len(_END_OF_HEAD) :])[1 - len(_END_OF_HEAD) :]
        try:
            self._llhttp.feed_data(part)
        except httptools.HttpParserUpgrade as upgrade:
            # A request to upgrade to another protocol is answered as if it had not asked (RFC 9110, section 7.8).
            return int(upgrade.args[0])
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, InvalidRequestError):
                raise error.__context__ from None
            if self._llhttp.get_method() == b"PRI":
                raise _other_version() from None
            raise InvalidRequestError(HTTPStatus.BAD_REQUEST, str(error)) from None
        return len(part)

    def _count(self, size: int) -> None:
        self._has_begun = True
        if self._has_head:
            self._wire += size
            if self._left is None and self._wire > self._most_body:
                raise self._too_large()
        else:
            self._head += size
            if self._head > self._most_head:
                status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
                raise InvalidRequestError(status, f"the header is larger than {self._most_head >> 10} KiB")

    # What llhttp calls. What these methods raise, it raises as the context of its own error.

    def on_message_begin(self) -> None:
        """Note that something has arrived."""
        self._has_begun = True

    def on_url(self, part: bytes) -> None:
        """Take a part of the target."""
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, or a trailer."""
        self._header_count += 1
        if self._header_count > _MOST_HEADERS:
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            raise InvalidRequestError(status, f"the request has more than {_MOST_HEADERS} headers")
        if not self._has_head:
            self._headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """Check the header, before the body has arrived."""
        self._has_head = True
        self._method = self._llhttp.get_method()
        version = self._llhttp.get_http_version()
        if version not in _VERSIONS:
            raise _other_version()
        values: dict[bytes, bytes] = dict(self._headers)
        length = values.get(b"content-length")
        encoding = values.get(b"transfer-encoding")
        if encoding is not None and (encoding.lower() != b"chunked" or version == "1.0"):
            raise InvalidRequestError(HTTPStatus.NOT_IMPLEMENTED, "transfer-encoding: only chunked is possible")
        hosts = sum(name == b"host" for name, _ in self._headers)
        if hosts > 1 or (version == "1.1" and not hosts):
            raise InvalidRequestError(HTTPStatus.BAD_REQUEST, "host: send this header once")
        if self._method == b"CONNECT":
            raise InvalidRequestError(HTTPStatus.METHOD_NOT_ALLOWED, "this server is not a proxy")
        if encoding is None:
            self._left = int(length or 0)
            if self._left > self._most_body:
                raise self._too_large()
        # llhttp would take the body of such a request for the other protocol.
        if self._llhttp.should_upgrade() and self._left != 0:
            raise InvalidRequestError(HTTPStatus.BAD_REQUEST, "upgrade: not possible in a request with a body")
        self._expects = values.get(b"expect", b"").lower() == b"100-continue" and version == "1.1" and self._left != 0

    def on_body(self, part: bytes) -> None:
        """Take a part of the body."""
        self._body += part
        if self._left is not None:
            self._left -= len(part)

    def on_message_complete(self) -> None:
        """Keep the request until it is asked for, and begin the next one."""
        version = self._llhttp.get_http_version()
        self._requests.append(
            WholeRequest(
                self._method.decode("ascii"),
                self._target,
                version,
                self._headers,
                bytes(self._body),
                version == "1.1" and self._llhttp.should_keep_alive(),
                self._head + self._wire,
            )
        )
        self._reset()

    def _too_large(self) -> InvalidRequestError:
        detail = f"the body is larger than {self._most_body >> 10} KiB; API servers send no such review"
        return InvalidRequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)


def _other_version() -> InvalidRequestError:
    detail = "send HTTP/1.1; this server speaks no other version"
    return InvalidRequestError(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, detail)
