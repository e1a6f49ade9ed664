"""HTTPS requests to Keeper: deadlines, limits, an additional CA and proxies; every failure is a VaultError."""

from __future__ import annotations

import http.client
import ssl
import time
from contextlib import AbstractContextManager
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keeper_injector_agent.errors import PermanentVaultError, TransientVaultError, VaultError
from keeper_injector_agent.keeper import proxied
from keeper_injector_agent.keeper.direct import Connections, new_context
from keeper_injector_agent.keeper.limits import SizeLimits, size_limits
from keeper_injector_agent.keeper.responses import Response, api_result, download_result, is_refusal, requested_key
from keeper_injector_agent.keeper.urls import HttpsUrl, parse_https_url
from keeper_injector_agent.retry import LONGEST_PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from keeper_injector_agent.credentials.proxy import ProxyUrl

    Receive = Callable[[bytes], object]

_CONNECT_TIMEOUT = 10.0
_WRONG_CLOCK = {"certificate has expired", "certificate is not yet valid"}
_AGENT = "keeper-injector-agent"


class Transport:
    """Sends requests to Keeper until a deadline, and counts them by result."""

    def __init__(
        self,
        *,
        ca_file: Path | None,
        deadline: float,
        sizes: SizeLimits | None = None,
        patience: float = LONGEST_PATIENCE,
    ) -> None:
        """Allow requests until *deadline* (:func:`time.monotonic`), and trust *ca_file* in addition to the usual CAs.

        A request waits at most *patience* seconds for the beginning, and for each part, of its response.
        *sizes* say how large responses may be; by default, as large as this container's memory allows.
        Raises PermanentVaultError if *ca_file* contains no certificate.
        """
        self.deadline = deadline
        self.counts: dict[str, int] = {}
        self._patience = patience
        self._sizes = sizes or size_limits()
        # An additional CA usually belongs to an inspecting proxy. Try it alone first: loading all the others takes 14 ms.
        self._context = new_context(ca_file)
        self._trusts_all = False
        if ca_file is None:
            self._trust_all()
        self._connections = Connections(self._context)
        self._session: Any = None
        self._proxy: ProxyUrl | None = None
        self._keys_asked_for: set[str] = set()
        self._last_failure = ""

    def post(self, url: str, headers: dict[str, str], body: bytes) -> Response:
        """Send one API request. Return a response that the SDK understands; raise VaultError for any other."""
        response = self._request("POST", url, headers, body)
        expects_content = url.rsplit("/", 1)[-1] in {"get_secret", "get_folders"}
        result, error = api_result(response, expects_content=expects_content, keys_in_use=self._keys_asked_for)
        if result == "key_rotated":
            self._keys_asked_for.add(requested_key(response))
        self._count(result)
        if error is not None:
            raise error
        return response

    def download(self, url: object, receive: Receive) -> None:
        """Download an attachment from its pre-signed URL, whatever Keeper sent as such; raises VaultError.

        *receive* gets it block by block, and must use none of it if this fails.
        """
        response = self._request("GET", url, {}, None, receive)
        result, error = download_result(response)
        self._count(result)
        if error is not None:
            raise error

    def close(self) -> None:
        """Close the connections, which are kept between requests."""
        self._connections.close()

    def _request(
        self, method: str, text: object, headers: dict[str, str], body: bytes | None, receive: Receive | None = None
    ) -> Response:
        url = parse_https_url(text)
        if url is None:
            self._count("refused")
            raise PermanentVaultError("Keeper: refers to a URL that is not a plain HTTPS URL; no request was sent")
        headers = {"User-Agent": _AGENT, "Accept": "*/*", **headers}
        try:
            return self._send_once(method, url, headers, body, receive)
        except ssl.SSLError as error:
            if self._trusts_all:
                raise self._tls_error(url, error) from None
        self._trust_all()
        try:
            return self._send_once(method, url, headers, body, receive)
        except ssl.SSLError as error:
            raise self._tls_error(url, error) from None

    def _trust_all(self) -> None:
        import certifi

        self._context.load_verify_locations(certifi.where())
        self._trusts_all = True

    def _tls_error(self, url: HttpsUrl, error: ssl.SSLError) -> VaultError:
        """Return the error for a failed handshake. A retry cannot make a certificate trusted, but may pass another failure."""
        self._count("tls")
        cause = _cause(error)
        if not isinstance(_innermost(error), ssl.SSLCertVerificationError):
            self._last_failure = f"Keeper: no TLS connection to {url.place} ({cause})"
            return TransientVaultError(self._last_failure)
        advice = "behind an inspecting proxy set keeper.security/ca-cert-configmap"
        if cause in _WRONG_CLOCK:
            advice = f"the clock of this machine shows {time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC"
        return PermanentVaultError(f"Keeper: no trusted TLS connection to {url.place} ({cause}); {advice}")

    def _send_once(
        self, method: str, url: HttpsUrl, headers: dict[str, str], body: bytes | None, receive: Receive | None
    ) -> Response:
        """Send a request, and remember a failure, so that a timeout message can name the last one."""
        try:
            return self._send(method, url, headers, body, receive)
        except TransientVaultError as error:
            self._last_failure = str(error)
            raise

    def _send(
        self, method: str, url: HttpsUrl, headers: dict[str, str], body: bytes | None, receive: Receive | None
    ) -> Response:
        """Send a request; raises VaultError, or SSLError if the certificate is not trusted."""
        remaining = self.deadline - time.monotonic()
        if remaining <= 0:
            raise TransientVaultError(self._last_failure or "Keeper: the deadline has passed")
        timeout = min(_CONNECT_TIMEOUT, self._patience, remaining), min(self._patience, remaining)
        try:
            with self._exchange(method, url, headers, body, timeout) as (response, blocks):
                status = getattr(response, "status_code", 0) or response.status
                content = bytearray()
                if receive is not None and status == HTTPStatus.OK:
                    self._read(blocks, self._sizes.file, receive)
                else:
                    self._read(blocks, self._sizes.response, content.extend)
                return Response(status, response.reason, response.headers, bytes(content))
        except ssl.SSLError:
            raise
        except proxied.ProxyFailedError as error:
            self._count("proxy")
            raise self._proxy_error(url, error) from None
        except TimeoutError:
            self._count("timeout")
            raise TransientVaultError(f"Keeper: {url.place} did not answer in time") from None
        except (http.client.HTTPException, OSError) as error:
            self._count("connection")
            raise TransientVaultError(f"Keeper: no connection to {url.place} ({_cause(error)})") from None

    def _exchange(
        self, method: str, url: HttpsUrl, headers: dict[str, str], body: bytes | None, timeout: tuple[float, float]
    ) -> AbstractContextManager[tuple[Any, Iterator[bytes]]]:
        self._proxy = proxied.proxy_for(url.text)
        if self._proxy is None:
            return self._connections.send(method, url, headers, body, timeout=timeout)
        self._session = self._session or proxied.new_session(self._context)
        return proxied.send(self._session, method, url.text, headers, body, proxy=self._proxy, timeout=timeout)

    def _proxy_error(self, url: HttpsUrl, error: proxied.ProxyFailedError) -> VaultError:
        """Return the error for a request that did not get through the proxy. A retry cannot help if the proxy refused it."""
        place = self._proxy.place if self._proxy else "unknown"
        where = f"Keeper: the proxy {place}"
        if error.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            known = self._proxy is not None and self._proxy.has_password
            found = "rejects the user or the password" if known else "requires a user and a password"
            return PermanentVaultError(
                f"{where} {found} (HTTP 407); store its URL with both in a Secret, and name it in keeper.security/proxy-secret"
            )
        if is_refusal(error.status):
            return PermanentVaultError(
                f"{where} refuses connections to {url.place} (HTTP {error.status}); allow this host in the proxy"
            )
        cause = f"HTTP {error.status}" if error.status else _cause(error)
        return TransientVaultError(f"{where} did not connect to {url.place} ({cause}); check the proxy's URL")

    def _read(self, blocks: Iterator[bytes], largest: int, receive: Receive) -> None:
        """Read the body until the deadline: a read timeout alone never ends a response that arrives byte by byte."""
        size = 0
        for block in blocks:
            size += len(block)
            if time.monotonic() > self.deadline:
                raise TransientVaultError("Keeper: the response did not arrive before the deadline")
            if size > largest:
                self._count("too_large")
                raise PermanentVaultError(
                    f"Keeper: the response is larger than {largest / 2**20:.0f} MiB, the most that this container's memory "
                    "allows; share fewer or smaller records, or raise keeper.security/agent-limits-memory"
                )
            receive(block)

    def _count(self, result: str) -> None:
        self.counts[result] = self.counts.get(result, 0) + 1


def _innermost(error: BaseException) -> BaseException:
    inner = error
    while (deeper := getattr(inner, "reason", None) or inner.__cause__ or inner.__context__) is not None:
        if not isinstance(deeper, BaseException):
            break
        inner = deeper
    return inner


def _cause(error: BaseException) -> str:
    """Return the innermost cause, as system error or class; never its text, which may contain a URL."""
    inner = _innermost(error)
    if isinstance(inner, ssl.SSLCertVerificationError):
        return inner.verify_message
    return inner.strerror if isinstance(inner, OSError) and inner.strerror else type(inner).__name__
