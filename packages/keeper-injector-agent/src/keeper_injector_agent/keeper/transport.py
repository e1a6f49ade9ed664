"""HTTPS requests to Keeper: a connection pool with deadlines, an additional CA and proxies; every failure is a VaultError."""

from __future__ import annotations

import re
import ssl
import time
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies

from keeper_injector_agent.errors import PermanentVaultError, TransientVaultError
from keeper_injector_agent.keeper.responses import Response, api_result, download_result

_CONNECT_TIMEOUT = 10.0
_READ_TIMEOUT = 30.0
_LARGEST_RESPONSE = 256 * 1024 * 1024
"""Bytes."""
_WRONG_CLOCK = {"certificate has expired", "certificate is not yet valid"}


class Transport:
    """Sends requests to Keeper until a deadline, and counts them by result."""

    def __init__(self, *, ca_file: Path | None, deadline: float) -> None:
        """Allow requests until *deadline* (:func:`time.monotonic`), and trust *ca_file* in addition to the usual CAs.

        Raises PermanentVaultError if *ca_file* contains no certificate.
        """
        self.deadline = deadline
        self.counts: dict[str, int] = {}
        self._session = requests.Session()
        # Otherwise requests prefers credentials from ~/.netrc to the signature in the Authorization header.
        self._session.trust_env = False
        self._session.mount("https://", _Adapter(_context(ca_file)))
        # An additional CA usually belongs to an inspecting proxy. Try it alone first: loading all the others takes 14 ms.
        self._verify: str | bool = str(ca_file) if ca_file else True
        self._key_rotated = False
        self._last_failure = ""

    def post(self, url: str, headers: dict[str, str], body: bytes) -> Response:
        """Send one API request. Return a response that the SDK understands; raise VaultError for any other."""
        response = self._request("POST", url, headers=headers, data=body)
        expects_content = url.rsplit("/", 1)[-1] in {"get_secret", "get_folders"}
        result, error = api_result(response, expects_content=expects_content, key_rotated=self._key_rotated)
        self._key_rotated |= result == "key_rotated"
        self._count(result)
        if error is not None:
            raise error
        return response

    def get(self, url: str) -> bytes:
        """Download an attachment from its pre-signed URL; raises VaultError."""
        response = self._request("GET", url)
        result, error = download_result(response)
        self._count(result)
        if error is not None:
            raise error
        return response.content

    def _request(self, method: str, url: str, **more: Any) -> Response:
        try:
            return self._send_once(method, url, **more)
        except requests.exceptions.SSLError as error:
            if self._verify is True:
                raise self._untrusted_certificate(url, error) from None
        self._verify = True
        try:
            return self._send_once(method, url, **more)
        except requests.exceptions.SSLError as error:
            raise self._untrusted_certificate(url, error) from None

    def _untrusted_certificate(self, url: str, error: requests.exceptions.SSLError) -> TransientVaultError:
        self._count("tls")
        cause = _cause(error)
        advice = "behind an inspecting proxy set keeper.security/ca-cert-configmap"
        if cause in _WRONG_CLOCK:
            advice = f"the clock of this machine shows {time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC"
        return TransientVaultError(f"Keeper: no trusted TLS connection to {_host(url)} ({cause}); {advice}")

    def _send_once(self, method: str, url: str, **more: Any) -> Response:
        """Send a request, and remember a failure, so that a timeout message can name the last one."""
        try:
            return self._send(method, url, **more)
        except TransientVaultError as error:
            self._last_failure = str(error)
            raise

    def _send(self, method: str, url: str, **more: Any) -> Response:
        """Send a request; raises VaultError, or SSLError if the certificate is not trusted."""
        remaining = self.deadline - time.monotonic()
        if remaining <= 0:
            raise TransientVaultError(self._last_failure or "Keeper: the deadline has passed")
        try:
            with self._session.request(
                method,
                url,
                proxies=get_environ_proxies(url, no_proxy=None),
                verify=self._verify,
                timeout=(min(_CONNECT_TIMEOUT, remaining), min(_READ_TIMEOUT, remaining)),
                stream=True,
                allow_redirects=False,
                **more,
            ) as response:
                return Response(response.status_code, response.reason, response.headers, self._read(response))
        except requests.exceptions.SSLError:
            raise
        except requests.exceptions.ProxyError as error:
            self._count("proxy")
            raise TransientVaultError(
                f"Keeper: the proxy to {_host(url)} failed ({_cause(error)}); check HTTPS_PROXY"
            ) from None
        except requests.exceptions.Timeout:
            self._count("timeout")
            raise TransientVaultError(f"Keeper: {_host(url)} did not answer in time") from None
        except (requests.exceptions.RequestException, OSError) as error:
            self._count("connection")
            raise TransientVaultError(f"Keeper: no connection to {_host(url)} ({_cause(error)})") from None

    def _read(self, response: requests.Response) -> bytes:
        """Read the body until the deadline: a read timeout alone never ends a response that arrives byte by byte."""
        content = bytearray()
        for chunk in response.iter_content(64 * 1024):
            content += chunk
            if time.monotonic() > self.deadline:
                raise TransientVaultError("Keeper: the response did not arrive before the deadline")
            if len(content) > _LARGEST_RESPONSE:
                raise PermanentVaultError(
                    f"Keeper: the response is larger than {_LARGEST_RESPONSE >> 20} MiB; share fewer records"
                )
        return bytes(content)

    def _count(self, result: str) -> None:
        self.counts[result] = self.counts.get(result, 0) + 1


class _Adapter(HTTPAdapter):
    """Connections that verify certificates with a given context, also through proxies."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **more: Any) -> None:
        super().init_poolmanager(*args, **more, ssl_context=self._context)

    def proxy_manager_for(self, *args: Any, **more: Any) -> Any:
        return super().proxy_manager_for(*args, **more, ssl_context=self._context)


def _context(ca_file: Path | None) -> ssl.SSLContext:
    # Verifies certificates as well. Requests adds the CAs of certifi; a default context would also load the system's (18 ms).
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError):
            raise PermanentVaultError(
                f"{ca_file}: not a certificate in PEM format; check keeper.security/ca-cert-key"
            ) from None
    return context


def _host(url: str) -> str:
    """Return only the host: anyone who knows path and query of a file's URL can download the file."""
    return re.sub(r"^https?://([^/?#]*).*$", r"\1", url)


def _cause(error: BaseException) -> str:
    """Return the innermost cause, as system error or class; never its text, which may contain a URL."""
    inner: BaseException = error
    while (deeper := getattr(inner, "reason", None) or inner.__cause__ or inner.__context__) is not None:
        if not isinstance(deeper, BaseException):
            break
        inner = deeper
    if isinstance(inner, ssl.SSLCertVerificationError):
        return inner.verify_message
    return inner.strerror if isinstance(inner, OSError) and inner.strerror else type(inner).__name__
