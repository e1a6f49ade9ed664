"""URLs that the agent sends requests to: only plain HTTPS URLs, whose paths appear in no message."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st
from servers import serving

from keeper_injector_agent.errors import PermanentVaultError, TransientVaultError
from keeper_injector_agent.keeper.limits import SizeLimits, size_limits
from keeper_injector_agent.keeper.transport import Transport
from keeper_injector_agent.keeper.urls import parse_https_url

TOKEN = "X-Amz-Signature=5ec7e7"


@attrs.define
class Site:
    """A server with HTTPS, one without, and the requests that they received."""

    https: int
    http: int
    ca: Path
    requests: list[str]

    def transport(self, largest: int = 2**20) -> Transport:
        """Return a transport that trusts the server."""
        return Transport(ca_file=self.ca, deadline=time.monotonic() + 20, sizes=SizeLimits(2**10, largest))


def downloaded(transport: Transport, url: object) -> bytes:
    """Return what the transport downloads."""
    content = bytearray()
    transport.download(url, content.extend)
    return bytes(content)


@pytest.fixture(name="site")
def _site(running_site: Site) -> Site:
    running_site.requests.clear()
    return running_site


@pytest.fixture(name="running_site", scope="module")
def _running_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    ca_file = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(ca_file))
    requests: list[str] = []

    def respond(method: str, path: str, *_: object) -> tuple[int, dict[str, str], object]:
        requests.append(f"{method} {path}")
        if path.startswith("/away"):
            return 302, {"Location": f"https://localhost:{ports[0]}/elsewhere"}, ""
        if path.startswith("/large"):
            return 200, {}, "x" * 2**20 + "x"
        if path.startswith("/end"):
            return 200, {"Connection": "close"}, "content"
        return 200, {}, "content"

    with serving(respond, authority, "localhost") as https, serving(respond) as http:
        ports = https, http
        yield Site(https, http, ca_file, requests)


@pytest.mark.parametrize("scheme", ["https", "HTTPS", "HttpS"])
def test_https_urls_are_fetched(site: Site, scheme: str) -> None:
    """The case of the scheme does not matter (RFC 3986, section 3.1)."""
    assert downloaded(site.transport(), f"{scheme}://localhost:{site.https}/file?{TOKEN}") == b"content"
    assert site.requests == [f"GET /file?{TOKEN}"]


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:{http}/file?{token}",
        "HTTP://localhost:{http}/file?{token}",
        "//localhost:{https}/file?{token}",
        "localhost:{https}/file?{token}",
        "https:localhost:{https}/file?{token}",
        "https:///localhost:{https}/file?{token}",
        "https://user:password@localhost:{https}/file?{token}",
        "https://localhost:{http}@localhost:{https}/file?{token}",
        "https://localhost:{http}\\@localhost:{https}/file?{token}",
        " https://localhost:{https}/file?{token}",
        "https://localhost:{https}/file?{token}#fragment",
        "https://localhost:{https}/file?{token} HTTP/1.1",
        "https://localhost:{https}/file?{token}\r\nHost: other",
        "https://localhost:{https}/f\u0131le?{token}",
        "https://localhost:99999/file?{token}",
        "https://localhost:-1/file?{token}",
        "https://localhost:0/file?{token}",
        "https://[::1/file?{token}",
        "ftp://localhost:{https}/file?{token}",
        "file:///etc/hostname",
        "gopher://localhost:{http}/_GET",
        "",
        None,
        42,
        {"url": "https://localhost:{https}/"},
    ],
    ids=repr,
)
def test_other_urls_are_refused(site: Site, url: object) -> None:
    """No request is sent, no connection is opened, and the message contains no part of the URL."""
    transport = site.transport()
    if isinstance(url, str):
        url = url.replace("{https}", str(site.https)).replace("{http}", str(site.http)).replace("{token}", TOKEN)
    with pytest.raises(PermanentVaultError) as refused:
        downloaded(transport, url)
    assert str(refused.value) == "Keeper: refers to a URL that is not a plain HTTPS URL; no request was sent"
    assert (site.requests, transport.counts) == ([], {"refused": 1})


def test_a_redirect_is_not_followed(site: Site) -> None:
    """A redirect is a failed download: neither its target nor its body is used."""
    with pytest.raises(PermanentVaultError, match="HTTP 302"):
        downloaded(site.transport(), f"https://localhost:{site.https}/away?{TOKEN}")
    assert site.requests == [f"GET /away?{TOKEN}"]


@pytest.mark.parametrize("scheme", ["https", "HTTPS"])
def test_messages_contain_only_host_and_port(site: Site, scheme: str) -> None:
    """Anyone who knows path and query of a file's URL can download the file."""
    for port, wanted in ((1, "no connection to localhost:1"), (site.http, f"localhost:{site.http}")):
        with pytest.raises(TransientVaultError) as failure:
            downloaded(site.transport(), f"{scheme}://localhost:{port}/file?{TOKEN}")
        assert wanted in str(failure.value)
        assert TOKEN not in str(failure.value)
        assert "file" not in str(failure.value)


def test_a_response_has_a_limit(site: Site) -> None:
    """A larger response ends with an error that names the annotation to change, and the next request works."""
    transport = site.transport(largest=2**20)
    with pytest.raises(PermanentVaultError, match=r"larger than 1 MiB.*raise keeper.security/agent-limits-memory"):
        downloaded(transport, f"https://localhost:{site.https}/large")
    assert downloaded(transport, f"https://localhost:{site.https}/file") == b"content"
    assert transport.counts == {"too_large": 1, "ok": 1}


@pytest.mark.parametrize("path", ["/file", "/end"])
def test_several_requests_in_turn(site: Site, path: str) -> None:
    """A connection is used again if the server keeps it open, and opened again if not."""
    transport = site.transport()
    for _ in range(3):
        assert downloaded(transport, f"https://localhost:{site.https}{path}") == b"content"
    assert len(site.requests) == 3


@pytest.mark.parametrize(
    ("files", "response", "file"),
    [
        ({}, 256, 256),
        ({"memory.max": "max\n"}, 256, 256),
        ({"memory.max": f"{128 << 20}\n"}, 17, 22.67),
        ({"memory.max": f"{16 << 20}\n"}, 4, 4),
        ({"memory/memory.limit_in_bytes": f"{512 << 20}\n"}, 113, 150.67),
        ({"memory/memory.limit_in_bytes": "9223372036854771712\n"}, 256, 256),
    ],
    ids=["none", "no limit", "the default", "tiny", "version 1", "version 1, no limit"],
)
def test_the_limits_follow_the_memory_of_the_container(
    tmp_path: Path, files: dict[str, str], response: float, file: float
) -> None:
    """What fits into the container's memory in all its copies is allowed, and at least 4 MiB."""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="ascii")
    found = size_limits(tmp_path)
    assert found.response / 2**20 == pytest.approx(response)
    assert found.file / 2**20 == pytest.approx(file, abs=0.01)


@given(st.text(max_size=40), st.sampled_from(["https://", "HTTPS://h", "https://h:1/", "http://", ""]))
def test_any_text_is_a_url_or_none(text: str, start: str) -> None:
    """Parsing never fails, and what it accepts keeps its meaning when it is written and parsed again."""
    url = parse_https_url(start + text)
    assert url is None or parse_https_url(url.text) == url
