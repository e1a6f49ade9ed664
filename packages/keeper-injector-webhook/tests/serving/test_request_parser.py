"""The parser of requests: what it refuses, what it keeps in memory, and a comparison with h11."""

from __future__ import annotations

import contextlib
import itertools
import tracemalloc
from collections.abc import Iterable, Iterator

import attrs
import h11
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from keeper_injector_webhook.serving.request_parser import InvalidRequestError, RequestParser, WholeRequest

HEAD = 16 * 1024
BODY = 64 * 1024
GET = b"GET / HTTP/1.1\r\nHost: a\r\n"
POST = b"POST /mutate HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


def parsed(data: bytes, *cuts: int) -> tuple[list[WholeRequest], int | None]:
    """Return the requests in *data*, which arrives in pieces, and the status with which the rest is refused, if it is."""
    parser = RequestParser(HEAD, BODY)
    found = []
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    try:
        for start, end in itertools.pairwise(edges):
            for request in parser.feed(data[start:end]):
                found.append(request)
                if not request.keep_alive:
                    return found, None
    except InvalidRequestError as error:
        return found, error.status
    return found, None


REFUSED: dict[str, tuple[bytes, int]] = {
    "a bare line feed": (b"GET / HTTP/1.1\nHost: a\n\n", 400),
    "a bare line feed after a header": (GET + b"A: b\n\r\n", 400),
    "a bare carriage return": (GET + b"A: b\rc\r\n\r\n", 400),
    "a folded header": (GET + b"A: b\r\n c\r\n\r\n", 400),
    "a folded first header": (b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
    "a NUL in a header": (GET + b"A: \0\r\n\r\n", 400),
    "a space before the colon": (GET + b"A : b\r\n\r\n", 400),
    "a header without a name": (GET + b": b\r\n\r\n", 400),
    "a header without a colon": (GET + b"A\r\n\r\n", 400),
    "two different lengths": (POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx", 400),
    "the same length twice": (POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400),
    "a list of lengths": (POST + b"Content-Length: 1, 1\r\n\r\nx", 400),
    "a length with a sign": (POST + b"Content-Length: +1\r\n\r\nx", 400),
    "an empty length": (POST + b"Content-Length:\r\n\r\nx", 400),
    "a length of 23 digits": (POST + b"Content-Length: 99999999999999999999999\r\n\r\n", 400),
    "a length beside chunks": (POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "chunks beside a length": (POST + b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n", 400),
    "another encoding": (POST + b"Transfer-Encoding: gzip\r\n\r\n", 501),
    "another encoding before chunks": (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    "another encoding after chunks": (POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400),
    "chunks twice": (POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "chunks in HTTP/1.0": (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501),
    "a chunk that ends in a line feed": (CHUNKED + b"1\nx\r\n0\r\n\r\n", 400),
    "a chunk that is longer than its size": (CHUNKED + b"1\r\nxy\r\n0\r\n\r\n", 400),
    "a size of a chunk that is not a number": (CHUNKED + b"-1\r\nx\r\n0\r\n\r\n", 400),
    "a size of a chunk of 17 digits": (CHUNKED + b"fffffffffffffffff\r\nx\r\n", 400),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two hosts": (GET + b"Host: b\r\n\r\n", 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "HTTP/2 in a request line": (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    "HTTP/0.9 in a request line": (b"GET / HTTP/0.9\r\n\r\n", 505),
    "HTTP/1.2": (b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", 400),
    "a TLS record": (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400),
    "a method in lower case": (b"get / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a target that is not ASCII": (b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a target with a space": (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a tunnel": (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", 405),
    "an upgrade with a body": (POST + b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nxx", 400),
    "an upgrade with chunks": (CHUNKED[:-2] + b"Connection: upgrade\r\nUpgrade: h2c\r\n\r\n0\r\n\r\n", 400),
    "a header of 17 KiB": (GET + b"A: " + b"b" * 17 * 1024, 431),
    "a target of 17 KiB": (b"GET /" + b"b" * 17 * 1024, 431),
    "17 KiB of empty lines": (b"\r\n" * 8704, 431),
    "101 headers": (GET + b"A: b\r\n" * 100 + b"\r\n", 431),
    "101 trailers": (CHUNKED + b"0\r\n" + b"A: b\r\n" * 100 + b"\r\n", 431),
    "a length over the limit": (POST + b"Content-Length: 65537\r\n\r\n", 413),
    "chunks over the limit": (CHUNKED + b"1000\r\n" + (b"x" * 4096 + b"\r\n1000\r\n") * 16, 413),
    "small chunks over the limit with their framing": (CHUNKED + b"1\r\nx\r\n" * 11_000, 413),
    "an extension of a chunk over the limit": (CHUNKED + b"1;" + b"a" * 65536 + b"\r\n", 413),
    "a trailer over the limit": (CHUNKED + b"0\r\nA: " + b"b" * 65536, 413),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("bytewise", [False, True], ids=["at once", "byte by byte"])
def test_what_is_refused(name: str, bytewise: bool) -> None:
    """What servers may understand differently, or is over a limit, is refused, however it arrives."""
    data, status = REFUSED[name]
    found, refused = parsed(data, *(range(len(data)) if bytewise else ()))
    assert (found, refused) == ([], status)


@pytest.mark.parametrize("name", [name for name, (_, status) in REFUSED.items() if status == 413])
def test_the_body_of_a_refused_request_is_not_kept(name: str) -> None:
    """The connection stays open for a moment, so that the client can read the error. No limit counts the memory that it holds then."""
    most = 1 << 20
    data = REFUSED[name][0] + b"x" * 65536
    if b"hunked" in data:
        data = CHUNKED + (b"ffff\r\n" + b"x" * 0xFFFF + b"\r\n") * 15 + data.removeprefix(CHUNKED) + b"1" * most
    tracemalloc.start()
    parser = RequestParser(HEAD, most)
    with contextlib.suppress(InvalidRequestError):
        for start in range(0, len(data), 65536):
            assert not list(parser.feed(data[start : start + 65536]))
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert kept < most / 10


def test_requests_one_after_the_other() -> None:
    """Each request has its own target, headers and body; names of headers are in lower case, and trailers are dropped."""
    data = (
        POST + b"Content-Type: \t text/plain \t\r\nContent-Length: 3\r\n\r\nabc"
        b"POST /b?c=%20 HTTP/1.1\r\nHost: a\r\ntransfer-encoding: Chunked\r\n\r\n2;x=y\r\nde\r\n1\r\nf\r\n0\r\nTrailer: x\r\n\r\n"
        b"\r\nHEAD / HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\nGET /ignored"
    )
    found, refused = parsed(data)
    assert refused is None
    assert found == [
        WholeRequest(
            "POST",
            b"/mutate",
            "1.1",
            [(b"host", b"a"), (b"content-type", b"text/plain"), (b"content-length", b"3")],
            b"abc",
            True,
        ),
        WholeRequest("POST", b"/b?c=%20", "1.1", [(b"host", b"a"), (b"transfer-encoding", b"Chunked")], b"def", True),
        WholeRequest("HEAD", b"/", "1.1", [(b"host", b"b"), (b"connection", b"close")], b"", False),
    ]
    assert parsed(data, *range(len(data))) == (found, None)


def test_an_upgrade_is_ignored() -> None:
    """The request to upgrade is like any other, and so is the next one."""
    data = GET + b"Connection: upgrade\r\nUpgrade: h2c\r\n\r\n" + GET + b"\r\n"
    for cuts in ((), range(len(data))):
        found, refused = parsed(data, *cuts)
        assert ([request.keep_alive for request in found], refused) == ([True, True], None)


def test_the_body_is_expected_after_100_continue() -> None:
    """A client waits for the response 100 if it asks for one, until it begins to send the body."""
    parser = RequestParser(HEAD, BODY)
    for data, expects in (
        (b"Expect: 100-Continue\r\nContent-Length: 2\r\n\r\n", True),
        (b"Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n", True),
        (b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\nx", False),
        (b"Content-Length: 2\r\n\r\n", False),
    ):
        parser = RequestParser(HEAD, BODY)
        assert not list(parser.feed(POST + data))
        assert (parser.in_request, parser.expects_continue) == (True, expects)
    parser = RequestParser(HEAD, BODY)
    assert list(parser.feed(POST + b"Expect: 100-continue\r\nContent-Length: 0\r\n\r\n"))
    assert (parser.in_request, parser.expects_continue) == (False, False)


def test_requests_are_parsed_when_they_are_asked_for() -> None:
    """A client that sends many requests at once does not fill the memory with them."""
    parser = RequestParser(HEAD, BODY)
    requests = parser.feed((GET + b"\r\n") * 1000 + b"nonsense\r\n\r\n")
    for _ in range(1000):
        assert next(requests).target == b"/"
    with pytest.raises(InvalidRequestError):
        next(requests)


# A grammar of requests that are nearly valid: every part may be replaced by something that parsers are known to disagree about.
NAMES = st.sampled_from(b"Host|host|Content-Length|Transfer-Encoding|Connection|Upgrade|Expect|A|A b|\xe9|".split(b"|"))
VALUES = st.sampled_from(
    b"a|0|1|3|03|+1|1, 1|1\x0b|chunked|Chunked|gzip, chunked|,chunked|\x0bchunked|close|keep-alive|upgrade|h2c|websocket|"
    b"100-continue||\xe9|a\tb|\0|a\r\n b".split(b"|")
)
COLONS = st.sampled_from([b": "] * 8 + [b":", b" : ", b":\t", b""])
ENDS = st.sampled_from([b"\r\n"] * 20 + [b"\n", b"\r", b"\r\r\n", b" \r\n"])
HEADER = st.tuples(NAMES, COLONS, VALUES, ENDS).map(b"".join)
FIRST_LINE = st.tuples(
    st.sampled_from([b"GET", b"POST", b"HEAD", b"OPTIONS", b"CONNECT", b"PRI", b"get", b"FOO", b"\r\nGET"]),
    st.sampled_from([b" "] * 8 + [b"\t", b""]),
    st.sampled_from([b"/", b"/a?b", b"*", b"http://a/b", b"a:1", b"/\xe9", b"/#", b"/a b", b""]),
    st.sampled_from([b" "] * 8 + [b"\t", b""]),
    st.sampled_from(
        [b"HTTP/1.1"] * 5 + [b"HTTP/1.0", b"HTTP/2.0", b"HTTP/0.9", b"HTTP/1.10", b"HTTP/ 1.1", b"http/1.1"]
    ),
    ENDS,
).map(b"".join)
CONTENT = st.lists(
    st.sampled_from(
        [b"abc", b"0\r\n\r\n", b"1\r\nx\r\n", b"1;e=f\r\nx\r\n", b"1 \r\nx\r\n", b"1\nx\n", b"-1\r\n", b"0x1\r\nx\r\n"]
    )
    | st.sampled_from([b"0\r\nT: a\r\n\r\n", b"\r\n", b"GET / HTTP/1.1\r\nHost: b\r\n\r\n"]),
    max_size=3,
).map(b"".join)
USUAL = st.sampled_from([GET, POST, GET + b"A: b\r\n", POST + b"Content-Length: 3\r\n", CHUNKED[:-2]])
REQUEST = st.tuples(USUAL | FIRST_LINE, st.lists(HEADER, max_size=3).map(b"".join), ENDS, CONTENT).map(b"".join)
STREAM = st.lists(REQUEST, min_size=1, max_size=3).map(b"".join)


@attrs.frozen
class Seen:
    """What one parser understood of one request."""

    method: str
    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes

    @classmethod
    def of(cls, method: str, target: bytes, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> Seen:
        """Return a request with its values in lower case, as h11 changes that of Transfer-Encoding."""
        return cls(method, target, [(name, value.lower()) for name, value in headers], body)


def seen_by_h11(data: bytes) -> Iterator[Seen]:
    """Yield the requests that h11 finds in *data* until it refuses one. It does not skip empty lines between them, as it should."""
    while data := data.lstrip(b"\r\n"):
        connection = h11.Connection(h11.SERVER)
        connection.receive_data(data)
        request, body = None, b""
        try:
            while not isinstance(event := connection.next_event(), h11.EndOfMessage):
                if isinstance(event, h11.Request):
                    request = event
                elif isinstance(event, h11.Data):
                    body += event.data
                else:
                    return
        except h11.RemoteProtocolError:
            return
        assert request is not None
        yield Seen.of(request.method.decode(), request.target, request.headers, body)
        data = connection.trailing_data[0]


@settings(max_examples=2000, deadline=None)
@given(STREAM)
@example(
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\nabc" + GET + b"\r\n"
)
@example(b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" + GET + b"\r\n")
def test_no_request_that_h11_does_not_see(data: bytes) -> None:
    """Each request that is found, h11 finds too, and understands equally; it may find more, because it is less strict."""
    ours = [Seen.of(found.method, found.target, found.headers, found.body) for found in parsed(data)[0]]
    theirs = list(seen_by_h11(data))
    assert ours == theirs[: len(ours)]


@settings(max_examples=1000, deadline=None)
@given(STREAM, st.lists(st.integers(0, 500), max_size=6))
def test_it_does_not_matter_how_the_bytes_arrive(data: bytes, cuts: list[int]) -> None:
    """The same bytes are the same requests, and the same refusal, in whatever pieces they arrive."""
    assert parsed(data, *cuts) == parsed(data)
